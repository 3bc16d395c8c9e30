//! Numbers as people read them.

use std::fmt::Display;

/// A size for people: `716 B`, `41.5 KiB`, `1.2 MiB`.
pub fn human_size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// So many of a thing: `1 image`, `2 images`, `1 entry`, `2 entries`.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let one = number == N::from(1);
    match thing.strip_suffix('y') {
        _ if one => format!("{number} {thing}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (42_496, "41.5 KiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn one_thing_and_several() {
        let counted = [0_u64, 1, 2].map(|number| count(number, "image"));
        assert_eq!(counted, ["0 images", "1 image", "2 images"]);
        assert_eq!([count(1_u32, "entry"), count(2_u32, "entry")], ["1 entry", "2 entries"]);
        assert_eq!(count(2_usize, "key"), "2 keys");
    }
}
