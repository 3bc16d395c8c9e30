//! Debian's versions: `[EPOCH:]UPSTREAM[-REVISION]`, by deb-version(7).
//!
//! The order is that of `dpkg --compare-versions`: the epoch as a number, then upstream version and revision, each as stretches without
//! digits and with digits in turn. Digits count as a number, of any length; without digits, `~` comes before the end, the end before letters,
//! letters before other signs. What `dpkg --validate-version` refuses is refused: dpkg compares some of that with a warning.
//!
//! The crate `debversion` (0.5.5) does the same. It is not used: it brings chrono, regular expressions and big integers for what takes fifty
//! lines here, its hash differs for versions that it calls equal, and its errors do not say where.

use crate::parse_error::{Fault, shown};

/// In ascending order: what stands for `~`, for the end of a stretch, and what other signs than letters get on top.
const TILDE: u8 = 1;
const END: u8 = 2;
const SIGN: u8 = 0x80;

/// The largest epoch of dpkg (INT_MAX).
const LARGEST_EPOCH: u32 = i32::MAX as u32;

/// Where the parts of a version stand.
struct Parts<'a> {
    epoch: u32,
    upstream: &'a str,
    revision: Option<&'a str>,
}

/// The epoch, then what orders the upstream version, then what orders the revision: comparing the bytes is comparing the versions.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, Fault> {
    let parts = parts(text)?;
    let mut key = parts.epoch.to_be_bytes().to_vec();
    push_stretches(&mut key, parts.upstream);
    key.push(END);
    // Without a revision it is 0 (deb-version(7)), and "0" and "" give the same.
    push_stretches(&mut key, parts.revision.unwrap_or_default());
    key.push(END);
    Ok(key)
}

/// What all versions begin with that this one is a release of: its own, and those with `~` behind the part that it ends with.
pub(crate) fn prefix_of_prereleases(text: &str) -> Vec<u8> {
    let mut key = key(text).unwrap_or_default();
    let revision = parts(text).ok().and_then(|parts| parts.revision);
    match revision {
        Some(_) => key.truncate(key.len() - 1),
        // The end of the upstream version, the two bytes of no revision, and its end.
        None => key.truncate(key.len() - 4),
    }
    key
}

pub(crate) fn is_prerelease(text: &str) -> bool {
    parts(text).is_ok_and(|parts| parts.upstream.contains('~'))
}

/// What stands before the numbers (the epoch), and the numbers with dots between them that the upstream version begins with.
pub(crate) fn numbers(text: &str) -> (&str, Vec<&str>) {
    let start = text.find(':').map_or(0, |colon| colon + 1);
    let upstream = &text[start..];
    let end = upstream.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(upstream.len());
    (&text[..start], upstream[..end].split('.').take_while(|number| !number.is_empty()).collect())
}

fn parts(text: &str) -> Result<Parts<'_>, Fault> {
    let colon = text.find(':');
    let epoch = colon.map_or(Ok(0), |colon| epoch(&text[..colon]))?;
    let start = colon.map_or(0, |colon| colon + 1);
    let rest = &text[start..];
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        let cause = "the upstream version begins with no digit";
        return Err(Fault::new(start, cause, "write it like 1.2-1 or 1:1.2~rc1-1"));
    }
    refuse_others(upstream, start, ".+-~:", "an upstream version")?;
    if let Some(revision) = revision {
        let start = text.len() - revision.len();
        if revision.is_empty() {
            return Err(Fault::new(start, "no revision stands behind the last '-'", "leave the '-' out"));
        }
        refuse_others(revision, start, ".+~", "a revision")?;
    }
    Ok(Parts { epoch, upstream, revision })
}

fn epoch(text: &str) -> Result<u32, Fault> {
    if text.is_empty() {
        return Err(Fault::new(0, "no epoch stands before the ':'", "leave the ':' out"));
    }
    if let Some(at) = text.find(|c: char| !c.is_ascii_digit()) {
        return Err(Fault::new(
            at,
            "the epoch, which stands before the ':', is no number",
            "write it like 1:1.2",
        ));
    }
    let number = text.parse().ok().filter(|number| *number <= LARGEST_EPOCH);
    number.ok_or_else(|| {
        Fault::new(0, format!("the epoch is larger than {LARGEST_EPOCH}"), "write it like 1:1.2")
    })
}

fn refuse_others(part: &str, start: usize, signs: &str, what: &str) -> Result<(), Fault> {
    let is_other = |c: char| !c.is_ascii_alphanumeric() && !signs.contains(c);
    match part.char_indices().find(|(_, c)| is_other(*c)) {
        Some((at, c)) => {
            let cause = format!(
                "{} belongs to no {}",
                shown(c),
                what.trim_start_matches("an ").trim_start_matches("a ")
            );
            let signs = signs.chars().map(String::from).collect::<Vec<_>>().join(" ");
            Err(Fault::new(start + at, cause, format!("{what} has letters, digits and {signs}")))
        }
        None => Ok(()),
    }
}

/// Stretches without digits, ended, and numbers without leading zeros, their lengths in front, in turn.
fn push_stretches(key: &mut Vec<u8>, mut part: &str) {
    loop {
        let (signs, rest) = part.split_at(part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len()));
        let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        key.extend(signs.bytes().map(|sign| match sign {
            b'~' => TILDE,
            letter if letter.is_ascii_alphabetic() => letter,
            other => SIGN + other,
        }));
        key.push(END);
        push_number(key, digits);
        part = rest;
        if part.is_empty() {
            return;
        }
    }
}

/// A number of any length up to 255 digits; zero has none.
pub(crate) fn push_number(key: &mut Vec<u8>, digits: &str) {
    let digits = digits.trim_start_matches('0');
    key.push(u8::try_from(digits.len()).unwrap_or(u8::MAX));
    key.extend(digits.bytes());
}
