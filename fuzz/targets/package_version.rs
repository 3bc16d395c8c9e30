//! Versions and constraints that anybody wrote, by each scheme: two texts, a line each.

#![no_main]

use package_version::{Constraint, Scheme, Version};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    for scheme in Scheme::ALL {
        let versions = [one, other].map(|text| Version::parse(text, scheme));
        for (text, version) in [one, other].into_iter().zip(&versions) {
            match version {
                Ok(version) => assert!(version.as_str() == text && version == version),
                Err(error) => assert!(text.is_char_boundary(error.offset()) && !error.to_string().is_empty()),
            }
        }
        if let [Ok(one), Ok(other)] = &versions {
            let order = one.compare(other).unwrap();
            assert_eq!(other.compare(one).unwrap(), order.reverse());
            assert_eq!(order.is_eq(), one == other);
        }
        let constraints = [one, other].map(|text| Constraint::parse(text, scheme));
        for (text, constraint) in [one, other].into_iter().zip(&constraints) {
            match constraint {
                Ok(constraint) => assert_eq!(constraint.range().is_within(constraint.range()), Ok(true)),
                Err(error) => assert!(text.is_char_boundary(error.offset())),
            }
        }
        if let ([Ok(version), _], [_, Ok(constraint)]) = (&versions, &constraints) {
            let admitted = constraint.admits(version).unwrap();
            let this_one = Constraint::parse(&format!("={one}"), scheme).unwrap();
            assert_eq!(this_one.range().overlaps(constraint.range()), Ok(admitted));
        }
    }
});
