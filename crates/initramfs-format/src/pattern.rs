//! The patterns in the aliases of modules: those of fnmatch(3) without flags, as modprobe uses it: `*`, `?`, `[0-9A]`.

/// Whether the whole text matches.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when it does not fit: behind the last star, which then takes one more character.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', behind @ ..] = pattern {
            (pattern, retry) = (behind, Some((behind, text)));
            continue;
        }
        let step = match (pattern, text) {
            ([], []) => return true,
            (_, [first, others @ ..]) => one(pattern, *first).map(|behind| (behind, others)),
            (_, []) => return false,
        };
        (pattern, text) = match (step, retry) {
            (Some(step), _) => step,
            (None, Some((behind, [_, others @ ..]))) => {
                retry = Some((behind, others));
                (behind, others)
            }
            (None, _) => return false,
        };
    }
}

/// What is left of the pattern when its first item stands for this character.
fn one(pattern: &[u8], character: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', behind @ ..] => Some(behind),
        [b'[', set @ ..] => {
            let end = set.iter().position(|&byte| byte == b']')?;
            let (mut set, behind) = (set.get(..end)?, set.get(end + 1..)?);
            loop {
                match set {
                    [] => return None,
                    [from, b'-', to, ..] if (*from..=*to).contains(&character) => return Some(behind),
                    [_, b'-', _, others @ ..] => set = others,
                    [this, ..] if *this == character => return Some(behind),
                    [_, others @ ..] => set = others,
                }
            }
        }
        [this, behind @ ..] if *this == character => Some(behind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn devices_are_matched_as_modprobe_does() {
        for (pattern, text, expected) in [
            ("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc80i00", true),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc08i02", false),
            (
                "usb:v0421p0019d059[2-9]dc*dsc*dp*ic*isc*ip*in*",
                "usb:v0421p0019d0593dc00dsc00dp00ic08isc06ip50in00",
                true,
            ),
            (
                "usb:v0421p0019d059[2-9]dc*dsc*dp*ic*isc*ip*in*",
                "usb:v0421p0019d0591dc00dsc00dp00ic08isc06ip50in00",
                false,
            ),
            ("scsi:t-0x00*", "scsi:t-0x00", true),
            ("acpi*:LNRO0005:*", "acpi:LNRO0005:", true),
            ("fs-squashfs", "fs-squashfs", true),
            ("fs-squashfs", "fs-squashfs2", false),
            ("fs-squashfs", "fs-squash", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_pattern_ends() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("**", "ab", true),
            ("*b*a", "abba", true),
            ("*b*a", "abb", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[", "[", false),
            ("[]", "x", false),
            ("[a-", "a", false),
            ("[ab-d]x", "cx", true),
            ("[ab-d]x", "ex", false),
            ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
