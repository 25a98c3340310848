//! The network that an address is of: as much of it as an operator is given at a time.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The first 24 bits of an address of IPv4, or the first 48 of one of IPv6. Shown in CIDR notation (RFC 4632, RFC 5952).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Network {
    /// A /24 of IPv4.
    V4([u8; 3]),
    /// A /48 of IPv6.
    V6([u16; 3]),
}

impl Network {
    /// That of the caller's address as a log has it: with or without port, brackets and zone; of several, as proxies write them
    /// down, the first. An address of IPv4 in one of IPv6 (`::ffff:0:0/96`) is that of IPv4. None of what is no address.
    pub fn of(remote_addr: &str) -> Option<Network> {
        let first = remote_addr.split(',').next()?.trim();
        Some(match address(first)?.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Network::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Network::V6([a, b, c])
            }
        })
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let without_zone = bare.split_once('%').map_or(bare, |(address, _)| address);
    match without_zone.parse() {
        Ok(address) => Some(address),
        Err(_) => text.parse::<SocketAddr>().ok().map(|address| address.ip()),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Network::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Network::V6([a, b, c]) => write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<String> {
        Network::of(text).map(|network| network.to_string())
    }

    #[test]
    fn an_address_however_it_is_written_is_of_one_network() {
        for (text, network) in [
            ("203.0.113.9", "203.0.113.0/24"),
            ("203.0.113.255", "203.0.113.0/24"),
            ("203.0.113.9:443", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("[::ffff:203.0.113.9]:443", "203.0.113.0/24"),
            ("203.0.113.9, 198.51.100.7", "203.0.113.0/24"),
            (" 203.0.113.9:80,10.0.0.1", "203.0.113.0/24"),
            ("2001:db8:7::1", "2001:db8:7::/48"),
            ("2001:0DB8:0007:ffff:ffff:ffff:ffff:ffff", "2001:db8:7::/48"),
            ("[2001:db8:7::1]", "2001:db8:7::/48"),
            ("[2001:db8:7::1]:8443", "2001:db8:7::/48"),
            ("2001:db8:7::1, 2001:db8:8::1", "2001:db8:7::/48"),
            ("fe80::1%eth0", "fe80::/48"),
            ("[fe80::1%eth0]", "fe80::/48"),
            ("::1", "::/48"),
            ("0.0.0.0", "0.0.0.0/24"),
        ] {
            assert_eq!(of(text).as_deref(), Some(network), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_of_none() {
        for text in [
            "",
            "-",
            ",203.0.113.9",
            "localhost",
            "unix:",
            "203.0.113",
            "203.0.113.256",
            "203.0.113.09",
            "203.0.113.9/24",
            "[203.0.113.9",
            "2001:db8::7::1",
            "203.0.113.9:99999",
            "\u{202e}203.0.113.9",
            "=cmd|' /C calc'!A0",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,60}") {
            Network::of(&text);
        }

        #[test]
        fn all_addresses_of_a_network_are_of_it(bits in any::<u128>(), host in any::<u128>(), v4: bool) {
            let (network, same) = match v4 {
                true => {
                    let (bits, host) = (bits as u32, host as u8);
                    let of = |bits: u32| IpAddr::from(bits.to_be_bytes());
                    (of(bits & !0xff), of(bits & !0xff | u32::from(host)))
                }
                false => {
                    // Not one that holds an address of IPv4.
                    let prefix = bits & !(u128::MAX >> 48) | 1 << 127;
                    let of = |bits: u128| IpAddr::from(bits.to_be_bytes());
                    (of(prefix), of(prefix | host & u128::MAX >> 48))
                }
            };
            let width = if v4 { 24 } else { 48 };
            prop_assert_eq!(of(&same.to_string()), Some(format!("{network}/{width}")));
        }
    }
}
