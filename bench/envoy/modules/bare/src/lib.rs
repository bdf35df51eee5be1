//! The smallest module that Envoy takes: it answers each request's headers with Continue. With the feature `calls` it also makes
//! the three host calls of a sticky decision and decides by one byte, so that what it costs is the price of crossing alone.
#![no_std]

use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

/// What the host hands over in one request has room here; it begins anew with each request.
const ROOM: usize = 256 * 1024;
static mut MEMORY: [u8; ROOM] = [0; ROOM];
static mut USED: usize = 0;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Tells the host which callbacks and host calls the module knows.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands over, in steps of 8 bytes; null where there is no more.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    // SAFETY: a VM has one thread, and a place is given out once until the next request.
    unsafe {
        let start = USED;
        if size > ROOM - start {
            return core::ptr::null_mut();
        }
        USED = (start + size + 7).min(ROOM) & !7;
        addr_of_mut!(MEMORY).cast::<u8>().add(start)
    }
}

/// The VM starts.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_vm_start(_: u32, _: u32) -> u32 {
    1
}

/// A configuration is taken.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_: u32, _: u32) -> u32 {
    1
}

/// The headers of a request: 0 is Continue.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_: u32, _: u32, _: u32) -> u32 {
    // SAFETY: nothing of the request before is used any more.
    unsafe { USED = 0 };
    #[cfg(feature = "calls")]
    calls::decide();
    0
}

#[cfg(feature = "calls")]
mod calls {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
        fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
    }

    /// `v2` where the last byte of the cookies is even, else `v1`.
    pub(crate) fn decide() {
        let path = b"xds\0cluster_name";
        let name = b"x-serin-version";
        let cookie = b"cookie";
        let (mut cookies, mut cookies_size) = (core::ptr::null_mut(), 0);
        let (mut cluster, mut cluster_size) = (core::ptr::null_mut(), 0);
        // SAFETY: the host writes to places that live until it returns, and fills what `malloc` gave it.
        unsafe {
            let read =
                proxy_get_header_map_value(0, cookie.as_ptr(), cookie.len(), &raw mut cookies, &raw mut cookies_size);
            let found = proxy_get_property(path.as_ptr(), path.len(), &raw mut cluster, &raw mut cluster_size);
            // Without either nothing is set, so that the bench sees it.
            if read != 0 || found != 0 || cookies_size == 0 || cluster_size == 0 {
                return;
            }
            let last = *cookies.add(cookies_size - 1);
            let version = if last & 1 == 0 { b"v2" } else { b"v1" };
            proxy_replace_header_map_value(0, name.as_ptr(), name.len(), version.as_ptr(), version.len());
        }
    }
}
