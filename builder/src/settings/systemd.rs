//! What systemd and its programs read: host name, networks of systemd-networkd, services.

use std::collections::VecDeque;

use profiles::written::settings::{Addressing, Network, Service, Settings};
use squashfs::Kind;

use super::draft::{Draft, Line, Read, owned};
use super::plan::What;
use super::unit::Install;

/// Where an administrator's units lie.
const OWN: &str = "/etc/systemd/system";
/// Where those of packages lie (systemd.unit(5)).
const OF_PACKAGES: [&str; 3] =
    ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// The kinds of units that start and stop something (systemd.unit(5)).
const ENDINGS: [&str; 6] = [".service", ".socket", ".timer", ".path", ".mount", ".target"];

const NETWORKD: &str = "systemd-networkd.service";
const RESOLVED: &str = "systemd-resolved.service";

/// Longer than any unit.
const LARGEST: u64 = 1 << 20;
/// Most units that one switches on with it.
const MOST_UNITS: usize = 32;

/// Puts host name, networks and services into the plan.
pub(super) fn draw(settings: &Settings, draft: &mut Draft<'_>) -> Read<()> {
    if let Some(name) = &settings.host_name {
        let line = Line { setting: "hostname", span: &name.span };
        let text = format!("{}\n", name.value.as_str());
        draft.put(line, "/etc/hostname", What::File(text.into()), owned(0o644, (0, 0)))?;
    }
    if let Some(first) = settings.networks.first() {
        networks(settings, Line { setting: "network", span: &first.span }, draft)?;
    }
    settings.services.iter().try_for_each(|it| service(it, draft))
}

fn networks(settings: &Settings, line: Line<'_>, draft: &mut Draft<'_>) -> Read<()> {
    let Settings { networks, services, .. } = settings;
    let mut own = services.iter().filter(|it| unit_name(it.name.as_str()) == NETWORKD);
    if let Some(off) = own.clone().find(|it| !it.on) {
        let line = Line { setting: "service", span: &off.span };
        draft.refuse(line, "a line `network` needs systemd-networkd", "leave one of the two lines out");
    }
    let Some(unit) = find(NETWORKD, draft)? else {
        draft.refuse(
            line,
            "the stack has no systemd-networkd",
            "add the package that has it (Debian: systemd)",
        );
        return Ok(());
    };
    if is_masked(NETWORKD, draft)? && !own.any(|it| it.on) {
        let help = "add a line: service \"systemd-networkd\" on=#true";
        draft.refuse(line, "systemd-networkd is masked in the stack", help);
    }
    for network in networks {
        let setting = format!("network {}", network.interface.as_str());
        let line = Line { setting: &setting, span: &network.span };
        let path = format!("/etc/systemd/network/10-{}.network", network.interface.as_str());
        draft.put(line, &path, What::File(network_file(network).into()), owned(0o644, (0, 0)))?;
    }
    // networkd hands name servers to systemd-resolved and to nobody else.
    let servers = networks.iter().flat_map(|network| match &network.addressing {
        Addressing::Fixed { dns, .. } => dns.as_slice(),
        Addressing::Dhcp => &[],
    });
    let servers: String = servers.map(|server| format!("nameserver {server}\n")).collect();
    if !servers.is_empty() && find(RESOLVED, draft)?.is_none() {
        draft.put(line, "/etc/resolv.conf", What::File(servers.into()), owned(0o644, (0, 0)))?;
    }
    switch_on(unit, line, draft)
}

/// systemd.network(5).
fn network_file(network: &Network) -> String {
    let mut text = format!("[Match]\nName={}\n\n[Network]\n", network.interface.as_str());
    match &network.addressing {
        Addressing::Dhcp => text += "DHCP=yes\n",
        Addressing::Fixed { address, gateway, dns } => {
            text += &format!("Address={address}\n");
            text.extend(gateway.map(|gateway| format!("Gateway={gateway}\n")));
            text.extend(dns.iter().map(|server| format!("DNS={server}\n")));
        }
    }
    text
}

/// A unit of the stack.
struct Unit {
    /// As it was asked for: an instance has the name of its own, and the file of its template.
    name: String,
    /// The file, without links.
    path: String,
    text: String,
}

/// The unit of this name. A mask is no unit: what lies below it is found.
fn find(name: &str, draft: &Draft<'_>) -> Read<Option<Unit>> {
    let template = name.split_once('@').map(|(begin, end)| {
        let ending = end.rfind('.').map_or("", |at| &end[at..]);
        format!("{begin}@{ending}")
    });
    for file in [Some(name.to_owned()), template].into_iter().flatten() {
        for folder in [OWN].iter().chain(&OF_PACKAGES) {
            let Some(seen) = draft.find(&format!("{folder}/{file}"))? else { continue };
            if !matches!(seen.item.kind, Kind::File(_)) {
                continue;
            }
            let Some(bytes) = draft.target.joined.read(&seen, LARGEST)? else { continue };
            let path = format!("/{}", String::from_utf8_lossy(&seen.path));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(Some(Unit { name: name.to_owned(), path, text }));
        }
    }
    Ok(None)
}

/// What systemd calls a service that is written without an ending.
fn unit_name(written: &str) -> String {
    let ended = ENDINGS.iter().any(|ending| written.ends_with(ending));
    if ended { written.to_owned() } else { format!("{written}.service") }
}

/// Whether the stack keeps a unit from ever being started (systemd.unit(5)).
fn is_masked(name: &str, draft: &Draft<'_>) -> Read<bool> {
    Ok(draft.link(&format!("{OWN}/{name}"))?.as_deref() == Some("/dev/null"))
}

fn service(service: &Service, draft: &mut Draft<'_>) -> Read<()> {
    let (written, setting) = (service.name.as_str(), format!("service {}", service.name.as_str()));
    let line = Line { setting: &setting, span: &service.span };
    let name = unit_name(written);
    let Some(unit) = find(&name, draft)? else {
        let mut known = Vec::new();
        for folder in [OWN].iter().chain(&OF_PACKAGES) {
            known.extend(draft.target.joined.names(folder.as_bytes())?);
        }
        let known = known.iter().filter_map(|name| std::str::from_utf8(name).ok());
        let help = match profiles::suggest::nearest(&name, known) {
            Some(near) => format!("did you mean '{}'?", near.trim_end_matches(".service")),
            None => "add the package that has it".to_owned(),
        };
        draft.refuse(line, format!("the stack has no service '{written}', a unit {name}"), help);
        return Ok(());
    };
    let real = unit.path.rsplit('/').next().unwrap_or_default();
    if real != name && !real.contains("@.") {
        let message = format!("'{name}' is another name of '{real}'");
        draft.refuse(line, message, format!("write \"{}\"", real.trim_end_matches(".service")));
        return Ok(());
    }
    let mask = format!("{OWN}/{name}");
    let masked = is_masked(&name, draft)?;
    if !service.on {
        return match masked {
            true => Ok(()),
            false => draft.put(line, &mask, What::Link("/dev/null".to_owned()), owned(0o777, (0, 0))),
        };
    }
    if masked {
        draft.put(line, &mask, What::Link(unit.path.clone()), owned(0o777, (0, 0)))?;
    }
    if Install::parse(&unit.text).is_empty() && !masked {
        let message = format!("{name} cannot be switched on: it has no [Install], and others start it");
        draft.refuse(line, message, "remove the line");
        return Ok(());
    }
    switch_on(unit, line, draft)
}

/// The links that `systemctl enable` makes, those alone that are not there.
fn switch_on(unit: Unit, line: Line<'_>, draft: &mut Draft<'_>) -> Read<()> {
    let (mut waiting, mut known) = (VecDeque::from([unit]), Vec::new());
    while let Some(unit) = waiting.pop_front().filter(|_| known.len() < MOST_UNITS) {
        let Install { folders, aliases, also } = Install::parse(&unit.text);
        let wanted = folders.iter().map(|folder| format!("{OWN}/{folder}/{}", unit.name));
        let named = aliases.iter().map(|alias| format!("{OWN}/{alias}"));
        for path in wanted.chain(named) {
            if draft.find(&path)?.is_none() {
                draft.put(line, &path, What::Link(unit.path.clone()), owned(0o777, (0, 0)))?;
            }
        }
        known.push(unit.name);
        for name in also.iter().filter(|name| !known.contains(name)).take(MOST_UNITS) {
            waiting.extend(
                find(name, draft)?.filter(|unit| waiting.iter().all(|other| other.name != unit.name)),
            );
        }
    }
    Ok(())
}
