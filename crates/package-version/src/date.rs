//! Dates of the Gregorian calendar: year, month and day with `-` or `.` between them, as `2024-01-31`, `2024.1.31` or `2024.1`; or eight
//! digits, `20240131`. Behind it may stand a serial number: `2024-01-31.2`, `20240131-2`, `20240131r2`, `2024.1r2`.
//!
//! Where month, day or serial number are missing they count as 0, so a month comes before its days, and a day before what was released later
//! on it. A serial number of a shorter date needs an `r`, or the other one of the two separators: `2024.1.2` is the 2nd of January.

use crate::parse_error::{Fault, shown};

const REMEDY: &str = "write it like 2024-01-31, 20240131 or 2024.1, with a serial number as .2 or r2";

/// Year, month, day and serial number.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, Fault> {
    let digits = digits(text);
    let (date, length) = match digits {
        4 => parts(text)?,
        8 => {
            let part = |from: usize, to: usize| text[from..to].parse::<u16>().unwrap_or_default();
            let date = [(part(0, 4), 0), (part(4, 6), 4), (part(6, 8), 6)];
            check(&date)?;
            ([date[0].0, date[1].0, date[2].0], 8)
        }
        0 => return Err(Fault::new(0, "it does not begin with a year", REMEDY)),
        other => {
            let cause = format!("it begins with {other} digits: a year has 4, a whole date 8");
            return Err(Fault::new(0, cause, REMEDY));
        }
    };
    let mut key: Vec<u8> = date.iter().flat_map(|part| part.to_be_bytes()).collect();
    key.extend(serial(text, length)?.to_be_bytes());
    Ok(key)
}

/// A date with separators, and its length in bytes.
fn parts(text: &str) -> Result<([u16; 3], usize), Fault> {
    let mut found = vec![(text[..4].parse::<u16>().unwrap_or_default(), 0)];
    let mut at = 4;
    let separator = text[at..].chars().next().filter(|c| "-.".contains(*c));
    while found.len() < 3
        && let Some(separator) = separator
        && let Some(rest) = text[at..].strip_prefix(separator)
        && let length @ 1.. = digits(rest)
    {
        if length > 2 {
            let cause = format!("a {} has at most 2 digits", NAMES[found.len()]);
            return Err(Fault::new(at + 1, cause, REMEDY));
        }
        found.push((rest[..length].parse().unwrap_or_default(), at + 1));
        at += 1 + length;
    }
    check(&found)?;
    let part = |place: usize| found.get(place).map_or(0, |(part, _)| *part);
    Ok(([part(0), part(1), part(2)], at))
}

const NAMES: [&str; 3] = ["year", "month", "day"];

/// Whether there is such a day; each part with the byte where it begins.
fn check(date: &[(u16, usize)]) -> Result<(), Fault> {
    let year = date.first().map_or(0, |(year, _)| *year);
    let month = date.get(1).map_or(0, |(month, _)| *month);
    for (place, (part, at)) in date.iter().enumerate() {
        let most = match place {
            0 => 9999,
            1 => 12,
            _ => days(year, month),
        };
        if !(1..=most).contains(part) {
            let of = if place == 2 { format!(" in {year:04}-{month:02}") } else { String::new() };
            return Err(Fault::new(*at, format!("there is no {} {part}{of}", NAMES[place]), REMEDY));
        }
    }
    Ok(())
}

fn days(year: u16, month: u16) -> u16 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What stands behind the date: `.N`, `-N`, `rN`, `.rN` or `-rN`.
fn serial(text: &str, start: usize) -> Result<u32, Fault> {
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else { return Ok(0) };
    let number = rest.strip_prefix(['.', '-']).unwrap_or(rest);
    let number = number.strip_prefix(['r', 'R']).unwrap_or(number);
    let at = text.len() - number.len();
    if at == start {
        return Err(Fault::new(at, format!("{} belongs to no date", shown(first)), REMEDY));
    }
    if let Some(other) = number[digits(number)..].chars().next() {
        let at = at + digits(number);
        return Err(Fault::new(at, format!("{} belongs to no serial number", shown(other)), REMEDY));
    }
    match number.parse() {
        Ok(serial) => Ok(serial),
        Err(_) if number.is_empty() => Err(Fault::new(at, "no serial number stands at the end", REMEDY)),
        Err(_) => Err(Fault::new(at, format!("the serial number is larger than {}", u32::MAX), REMEDY)),
    }
}

/// How many digits it begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}
