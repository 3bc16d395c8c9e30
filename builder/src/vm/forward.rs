//! `--forward HOST:GUEST`.

use vm::machine::ForwardedPort;

/// Reads `8080:80`, or `80` for the same number on both sides.
///
/// # Errors
/// It is neither; a sentence for people.
pub fn parse(text: &str) -> Result<ForwardedPort, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("'{}' is no port: write a number from 1 to 65535", text.escape_debug())),
    };
    let (host, guest) = text.split_once(':').unwrap_or((text, text));
    Ok(ForwardedPort { host: port(host)?, guest: port(guest)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_host_leads_to_one_of_the_guest() {
        let pair = |text| parse(text).map(|port| (port.host, port.guest));
        assert_eq!(pair("8080:80"), Ok((8080, 80)));
        assert_eq!(pair("22"), Ok((22, 22)));
        for wrong in ["", ":", "0:80", "80:65536", "a:80", "1:2:3", "-1"] {
            assert!(pair(wrong).unwrap_err().contains("is no port: write a number"), "{wrong}");
        }
    }
}
