//! Up to which version `~` and `^` reach, by the rules of cargo and npm.
//!
//! `~` lets the third number grow, or the second where only one is written: `~1.2.3` and `~1.2` end before `1.3`, `~1` before `2`.
//! `^` lets everything grow behind the first number that is not zero: `^1.2.3` ends before `2`, `^0.2.3` before `0.3`, `^0.0.3` before `0.0.4`;
//! of zeros alone the last one counts: `^0.0` ends before `0.1`, `^0` before `1`.

/// What may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Tilde,
    Caret,
}

/// The numbers of the first version that is too new; `None` where there are no numbers.
pub(crate) fn first_beyond(numbers: &[&str], reach: Reach) -> Option<Vec<String>> {
    let last = numbers.len().checked_sub(1)?;
    let is_zero = |number: &&str| number.bytes().all(|digit| digit == b'0');
    let place = match reach {
        Reach::Tilde => last.min(1),
        Reach::Caret => numbers.iter().position(|number| !is_zero(number)).unwrap_or(last),
    };
    let mut beyond: Vec<String> = numbers[..place].iter().map(|number| (*number).to_owned()).collect();
    beyond.push(incremented(numbers[place]));
    Some(beyond)
}

/// A number of any length plus one.
fn incremented(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let zeros = "0".repeat(digits.len() - kept.len());
    match kept.split_at_checked(kept.len().saturating_sub(1)) {
        Some((head, last)) if !last.is_empty() => {
            let next = last.parse::<u8>().unwrap_or_default() + 1;
            format!("{head}{next}{zeros}")
        }
        _ => format!("1{zeros}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_as_cargo_does() {
        for (numbers, tilde, caret) in [
            ("1.2.3", "1.3", "2"),
            ("1.2", "1.3", "2"),
            ("1", "2", "2"),
            ("0.2.3", "0.3", "0.3"),
            ("0.0.3", "0.1", "0.0.4"),
            ("0.0", "0.1", "0.1"),
            ("0", "1", "1"),
            ("00.9.9", "00.10", "00.10"),
            ("1.2.3.4", "1.3", "2"),
            ("0.0.0.7", "0.1", "0.0.0.8"),
            ("199", "200", "200"),
            ("99999999999999999999999999", "100000000000000000000000000", "100000000000000000000000000"),
        ] {
            let numbers: Vec<&str> = numbers.split('.').collect();
            let beyond = |reach| first_beyond(&numbers, reach).unwrap().join(".");
            assert_eq!(
                (beyond(Reach::Tilde).as_str(), beyond(Reach::Caret).as_str()),
                (tilde, caret),
                "{numbers:?}"
            );
        }
        assert_eq!(first_beyond(&[], Reach::Caret), None);
    }
}
