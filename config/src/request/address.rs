//! Addresses as text, with less code than what pads and aligns them too.

use std::net::IpAddr;

/// The text of an address in its canonical form (RFC 5952): the longest run of groups that are zero is `::`.
#[inline(never)]
pub(crate) fn text(address: IpAddr) -> String {
    let mut text = String::new();
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets() {
                separate(&mut text, '.');
                number(&mut text, octet.into(), 10);
            }
        }
        IpAddr::V6(address) => {
            let groups = address.segments();
            let (mut from, mut size) = (0, 1);
            for start in 0..groups.len() {
                let zeros = groups.iter().skip(start).take_while(|group| **group == 0).count();
                if zeros > size {
                    (from, size) = (start, zeros);
                }
            }
            for (at, group) in groups.into_iter().enumerate() {
                match size > 1 && (from..from + size).contains(&at) {
                    true if at == from => text.push_str("::"),
                    true => {}
                    false => {
                        if !text.ends_with("::") {
                            separate(&mut text, ':');
                        }
                        number(&mut text, group.into(), 16);
                    }
                }
            }
        }
    }
    text
}

fn separate(text: &mut String, separator: char) {
    if !text.is_empty() {
        text.push(separator);
    }
}

fn number(text: &mut String, number: u32, base: u32) {
    if number >= base {
        self::number(text, number / base, base);
    }
    text.extend(char::from_digit(number % base, base));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn texts_are_those_of_the_standard_library() {
        for bits in [0, 1, 9, 10, 255, 0x0a01_0203, 0x7f00_0001, 0xc0a8_64c8, u32::MAX] {
            let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
            assert_eq!(text(address), address.to_string());
        }
        // Each group is zero, small or large, in all combinations.
        for combination in 0..3_usize.pow(8) {
            let group = |at: u32| [0, 0x0a, 0xf0f0][combination / 3_usize.pow(at) % 3];
            let address: Ipv6Addr = [0, 1, 2, 3, 4, 5, 6, 7].map(group).into();
            assert_eq!(text(address.into()), address.to_string());
        }
    }
}
