-- The job of a sticky decision, as Envoy's Lua filter can do it: cookie by name, murmur3, header. How the release is found
-- stands in a file of its own, which comes behind this one.
local band, bxor, bor = bit.band, bit.bxor, bit.bor
local lshift, rshift, rol, tobit = bit.lshift, bit.rshift, bit.rol, bit.tobit
local byte, find, lower, match, sub = string.byte, string.find, string.lower, string.match, string.sub
local floor = math.floor

local reviews = { salt = "bookinfo/reviews:", canary = 50000 }

-- A product modulo 2^32: a number of Lua is exact up to 2^53 only, so one factor goes in halves of 16 bits.
local function mul(a, b)
  return tobit(band(a, 0xffff) * b + lshift(rshift(a, 16) * b, 16))
end

-- MurmurHash3_x86_32 with seed 0.
local function murmur3(text)
  local h, length = 0, #text
  local whole = length - length % 4
  for i = 1, whole, 4 do
    local a, b, c, d = byte(text, i, i + 3)
    local k = bor(a, lshift(b, 8), lshift(c, 16), lshift(d, 24))
    k = mul(rol(mul(k, 0xcc9e2d51), 15), 0x1b873593)
    h = tobit(rol(bxor(h, k), 13) * 5 + 0xe6546b64)
  end
  if whole < length then
    local a, b, c = byte(text, whole + 1, length)
    local k = bor(a, lshift(b or 0, 8), lshift(c or 0, 16))
    h = bxor(h, mul(rol(mul(k, 0xcc9e2d51), 15), 0x1b873593))
  end
  h = bxor(h, length)
  h = mul(bxor(h, rshift(h, 16)), 0x85ebca6b)
  h = mul(bxor(h, rshift(h, 13)), 0xc2b2ae35)
  return bxor(h, rshift(h, 16)) % 4294967296
end

-- The value of the cookie `user` in one header, or nil; what precedes a name is the start, a semicolon or a blank.
local function user(header)
  local from = 1
  while true do
    local start, stop = find(header, "user=", from, true)
    if not start then
      return nil
    end
    local before = start > 1 and byte(header, start - 1)
    if not before or before == 59 or before == 32 then
      local semicolon = find(header, ";", stop + 1, true)
      return sub(header, stop + 1, semicolon and semicolon - 1)
    end
    from = stop + 1
  end
end

-- Names the version of a request to a release.
local function decide(headers, release)
  -- HTTP/1 clients may send several cookie headers; nearly all send one.
  local key, index = nil, 0
  local header = headers:getAtIndex("cookie", 0)
  while header and not key do
    key = user(header)
    index = index + 1
    header = not key and headers:getAtIndex("cookie", index)
  end
  local version = "v1"
  if key and floor(murmur3(release.salt .. key) * 100000 / 4294967296) < release.canary then
    version = "v2"
  end
  headers:replace("x-serin-version", version)
end
