//! What the scripts below busybox's init read: the base of this tree, and others that are made alike.

use profiles::written::settings::{Addressing, HostName, Network, Placed, Service, Settings};
use squashfs::Kind;

use super::draft::{Draft, Line, Read, is_program, owned};
use super::plan::What;

/// The scripts that start the system, and all services.
const SCRIPTS: &str = "/etc/init.d";
const HOST_NAME: &str = "/etc/hostname";
/// interfaces(5), as far as busybox's ifup reads it.
const INTERFACES: &str = "/etc/network/interfaces";
/// ifup runs what is in these, and fails where one is missing (execute_all() of busybox's networking/ifupdown.c).
const HOOKS: [&str; 4] = ["if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d"];

/// Bytes of a script that are looked into.
const LARGEST: u64 = 1 << 20;

/// Puts host name, networks and services into the plan.
pub(super) fn draw(settings: &Settings, draft: &mut Draft<'_>) -> Read<()> {
    if let Some(name) = &settings.host_name {
        host_name(name, settings, draft)?;
    }
    if let Some(first) = settings.networks.first() {
        networks(settings, Line { setting: "network", span: &first.span }, draft)?;
    }
    settings.services.iter().try_for_each(|it| service(it, draft))
}

fn host_name(name: &Placed<HostName>, settings: &Settings, draft: &mut Draft<'_>) -> Read<()> {
    let line = Line { setting: "hostname", span: &name.span };
    if !is_read(HOST_NAME, settings, draft)? {
        let help =
            format!("let a script of {SCRIPTS} run `hostname -F {HOST_NAME}`, as the base of this tree does");
        draft.refuse(line, format!("no script of {SCRIPTS} that is on reads {HOST_NAME}"), help);
    }
    let text = format!("{}\n", name.value.as_str());
    draft.put(line, HOST_NAME, What::File(text.into()), owned(0o644, (0, 0)))
}

fn networks(settings: &Settings, line: Line<'_>, draft: &mut Draft<'_>) -> Read<()> {
    let networks = &settings.networks;
    if !is_read(INTERFACES, settings, draft)? {
        let help = "add the package `network`, or another whose script runs `ifup -a`";
        draft.refuse(line, format!("no script of {SCRIPTS} that is on reads {INTERFACES}"), help);
    }
    for program in ["ifup", "udhcpc"] {
        let asks = |network: &&Network| program == "ifup" || network.addressing == Addressing::Dhcp;
        let Some(network) = networks.iter().find(asks) else { continue };
        let paths = ["/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/"].map(|folder| format!("{folder}{program}"));
        if draft.first_program(&paths.each_ref().map(String::as_str))?.is_none() {
            let line = Line { setting: "network", span: &network.span };
            let help = format!("add a busybox that has {program}, or another package with it");
            draft.refuse(line, format!("the stack has no {program}, which brings the network up"), help);
        }
    }
    let text: Vec<String> = networks.iter().map(interface).collect();
    draft.put(line, INTERFACES, What::File(text.join("\n").into()), owned(0o644, (0, 0)))?;
    for folder in HOOKS {
        draft.folder(line, &format!("/etc/network/{folder}"), owned(0o755, (0, 0)))?;
    }
    Ok(())
}

/// The stanza of one card. ifup knows no name servers.
fn interface(network: &Network) -> String {
    let name = network.interface.as_str();
    let Addressing::Fixed { address, gateway, dns } = &network.addressing else {
        // Asks on where nobody answers at once.
        return format!("auto {name}\niface {name} inet dhcp\n    udhcpc_opts -b\n");
    };
    let (family, mask) = match address.address.is_ipv4() {
        true => ("inet", address.mask().to_string()),
        false => ("inet6", address.prefix.to_string()),
    };
    let mut text = format!("auto {name}\niface {name} {family} static\n");
    text += &format!("    address {}\n    netmask {mask}\n", address.address);
    text.extend(gateway.map(|gateway| format!("    gateway {gateway}\n")));
    text.extend(dns.iter().map(|server| format!("    up echo nameserver {server} >>/etc/resolv.conf\n")));
    text
}

/// Whether a script that starts the system names `path`, and no line switches it off or puts a file in its place.
fn is_read(path: &str, settings: &Settings, draft: &Draft<'_>) -> Read<bool> {
    let stays = |script: &str| {
        let is_meant = |it: &&Service| !it.on && service_of(script) == Some(it.name.as_str());
        let is_replaced = settings.files.iter().any(|it| it.path.as_str() == format!("{SCRIPTS}/{script}"));
        !is_replaced && !settings.services.iter().any(|it| is_meant(&it))
    };
    for name in draft.target.joined.names(SCRIPTS.as_bytes())? {
        let name = String::from_utf8_lossy(&name);
        let Some(seen) = draft.find(&format!("{SCRIPTS}/{name}"))?.filter(|_| stays(&name)) else { continue };
        let text = draft.target.joined.read(&seen, LARGEST)?.unwrap_or_default();
        if text.windows(path.len()).any(|part| part == path.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `/etc/init.d/SNNname` is run at every boot when it may be run; a layer cannot take one away, and so a text takes its place.
fn service(service: &Service, draft: &mut Draft<'_>) -> Read<()> {
    let (name, setting) = (service.name.as_str(), format!("service {}", service.name.as_str()));
    let line = Line { setting: &setting, span: &service.span };
    let scripts = services(draft)?;
    let meant: Vec<&String> = scripts.iter().filter(|(_, service)| service == name).map(|it| &it.0).collect();
    if meant.is_empty() {
        let known: Vec<&str> = scripts.iter().map(|(_, service)| service.as_str()).collect();
        let help = profiles::suggest::remedy_or(name, &known, "add the package that has it");
        draft.refuse(line, format!("the stack has no service '{name}', a script {SCRIPTS}/SNN{name}"), help);
        return Ok(());
    }
    meant.into_iter().try_for_each(|script| switch(&format!("{SCRIPTS}/{script}"), service, line, draft))
}

/// Switches one script of a service.
fn switch(path: &str, service: &Service, line: Line<'_>, draft: &mut Draft<'_>) -> Read<()> {
    let name = service.name.as_str();
    let Some(seen) = draft.find(path)? else { return Ok(()) };
    if is_program(&seen) == service.on {
        return Ok(());
    }
    if !service.on {
        let text = format!("# The service {name} is switched off by the profile.\n");
        return draft.put(line, path, What::File(text.into()), owned(0o644, (0, 0)));
    }
    match draft.target.joined.read(&seen, LARGEST)? {
        Some(bytes) => {
            draft.merges(&seen);
            draft.put(line, path, What::File(bytes), owned(0o755, (0, 0)))
        }
        None => {
            draft.refuse(line, format!("{path} is no script"), "add the package that has the service");
            Ok(())
        }
    }
}

/// The scripts of all services, with the names that people know them by.
fn services(draft: &Draft<'_>) -> Read<Vec<(String, String)>> {
    let mut found = Vec::new();
    for name in draft.target.joined.names(SCRIPTS.as_bytes())? {
        let Ok(script) = String::from_utf8(name) else { continue };
        let Some(service) = service_of(&script).map(str::to_owned) else { continue };
        let path = format!("{SCRIPTS}/{script}");
        if draft.find(&path)?.is_some_and(|seen| matches!(seen.item.kind, Kind::File(_))) {
            found.push((script, service));
        }
    }
    Ok(found)
}

/// The name by which people know the service of a script `SNNname`.
fn service_of(script: &str) -> Option<&str> {
    let rest = script.strip_prefix('S')?;
    let service = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    (!service.is_empty() && service.len() < rest.len()).then_some(service)
}
