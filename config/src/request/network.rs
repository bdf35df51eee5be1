//! Blocks of addresses.

use std::net::IpAddr;

use crate::json::lexer::whole;

/// An address block; IPv4 is held in its IPv6-mapped form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    ipv4: bool,
    bits: u128,
    mask: u128,
}

impl Network {
    /// Reads an address or a block in CIDR form.
    #[inline(never)]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let slash = text.bytes().position(|byte| byte == b'/');
        let address: IpAddr = text.get(..slash.unwrap_or(text.len()))?.parse().ok()?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = match slash {
            Some(at) => whole(text.as_bytes().get(at + 1..)?).and_then(|length| u32::try_from(length).ok())?,
            None => width,
        };
        let length = (length <= width).then_some(length + offset)?;
        let mask = mask(length);
        Some(Self { ipv4: length >= 96 && address.to_canonical().is_ipv4(), bits: bits(address) & mask, mask })
    }

    /// Whether an address, in its canonical form, lies in the block; no IPv4 address lies in one of IPv6, `::/0` included.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.ipv4 && bits(address) & self.mask == self.bits
    }
}

/// In CIDR form, single addresses as such.
#[cfg(feature = "authoring")]
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = std::net::Ipv6Addr::from_bits(self.bits);
        let (address, all, length) = match address.to_ipv4_mapped().filter(|_| self.ipv4) {
            Some(address) => (IpAddr::from(address), 32, self.mask.count_ones() - 96),
            None => (address.into(), 128, self.mask.count_ones()),
        };
        write!(f, "{address}")?;
        if length == all { Ok(()) } else { write!(f, "/{length}") }
    }
}

/// The first bits of an address set, the rest clear.
pub(crate) fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length.min(128)).unwrap_or_default()
}

/// An address as bits; IPv4 and IPv4-mapped IPv6 are the same.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
