//! Numbers, as KDL 2.0 writes them.

/// Whether `word` starts as only numbers may: a digit, perhaps behind a sign and a point.
pub(super) fn looks_like(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|c: char| c.is_ascii_digit())
}

/// Whether `word` is a number that fits 64 bits and a little more: decimal with fraction and exponent, or `0x`, `0o`, `0b`.
pub(super) fn is(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = unsigned.strip_prefix(prefix) {
            return digits(rest, radix) && i128::from_str_radix(&rest.replace('_', ""), radix).is_ok();
        }
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    let fits = fraction.is_some() || exponent.is_some() || whole.replace('_', "").parse::<i128>().is_ok();
    fits && digits(whole, 10)
        && fraction.is_none_or(|part| digits(part, 10))
        && exponent.is_none_or(|part| digits(part, 10))
}

/// A digit, then digits and underscores.
fn digits(text: &str, radix: u32) -> bool {
    text.starts_with(|c: char| c.is_digit(radix)) && text.chars().all(|c| c == '_' || c.is_digit(radix))
}
