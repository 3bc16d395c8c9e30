//! The time zone: `/etc/localtime` is a link to the file of the zone (localtime(5)), which C libraries and systemd follow.

use profiles::suggest;
use profiles::written::settings::{Placed, TimeZone};
use squashfs::Kind;

use super::draft::{Draft, Line, Read, owned};
use super::plan::What;

const ZONES: &str = "/usr/share/zoneinfo";
/// Debian's name of the zone for programs that do not follow the link.
const NAME_FILE: &str = "/etc/timezone";
/// Longer than any file of a zone.
const LARGEST: u64 = 1 << 20;

/// Puts the link into the plan.
pub(super) fn draw(zone: &Placed<TimeZone>, draft: &mut Draft<'_>) -> Read<()> {
    let (line, name) = (Line { setting: "timezone", span: &zone.span }, zone.value.as_str());
    let path = format!("{ZONES}/{name}");
    let bytes = match draft.find(&path)? {
        Some(seen) => draft.target.joined.read(&seen, LARGEST)?,
        None => None,
    };
    // The first bytes of every such file (RFC 8536).
    if !bytes.is_some_and(|bytes| bytes.starts_with(b"TZif")) {
        let help = remedy(name, draft)?;
        draft.refuse(line, format!("the stack has no time zone {path}"), help);
        return Ok(());
    }
    draft.put(line, "/etc/localtime", What::Link(path), owned(0o777, (0, 0)))?;
    match draft.find(NAME_FILE)?.map(|seen| matches!(seen.item.kind, Kind::File(_))) {
        Some(true) => {
            draft.put(line, NAME_FILE, What::File(format!("{name}\n").into()), owned(0o644, (0, 0)))
        }
        _ => Ok(()),
    }
}

/// What to do: a zone in the same folder that is called nearly so, or the package.
fn remedy(name: &str, draft: &Draft<'_>) -> Read<String> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let names = draft.target.joined.names(format!("{ZONES}/{folder}").as_bytes())?;
    let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
    let names: Vec<String> =
        names.map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") }).collect();
    Ok(match suggest::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean '{near}'?"),
        None if draft.has_folder(ZONES)? => format!("write the name of a file below {ZONES}"),
        None => format!(
            "add the package that has {ZONES} (Debian: tzdata), or remove the line: the clock shows UTC"
        ),
    })
}
