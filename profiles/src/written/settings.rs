//! A machine's own settings: the block `system` of a written profile. docs/settings.md says what each line becomes.
//!
//! What can be judged without the stack is judged here, each value at its place; what needs the stack (is there such a shell, such a
//! service?) keeps its [`Span`] for whoever looks.

use std::net::IpAddr;

use crate::Span;
use crate::decode::{Block, KdlValue, Node, Problem, Shape, Value, text};
use crate::system::SystemPath;

mod address;
mod names;
mod password_hash;
mod public_key;

pub use address::NetworkAddress;
use address::{Gateway, NameServers};
pub use names::{HostName, InterfaceName, ServiceName, TimeZone, UserName};
pub use password_hash::{HashMethod, PasswordHash};
pub use public_key::PublicKey;

/// The nodes of the block.
const NODES: [&str; 7] = ["hostname", "user", "root", "network", "timezone", "file", "service"];
const SYSTEM: Shape = Shape::BARE.block(&NODES);
const USER: Shape =
    Shape::argument("name").properties(&["key", "password-hash", "uid", "shell"]).block(&["key"]);
const ROOT: Shape = Shape::BARE.properties(&["key", "password-hash"]).block(&["key"]);
const KEY: Shape = Shape::argument("public key");
const NETWORK: Shape = Shape::argument("interface").properties(&["dhcp", "address", "gateway", "dns"]);
const FILE: Shape = Shape::argument("path").properties(&["from", "mode"]);
const SERVICE: Shape = Shape::argument("name").properties(&["on"]);

/// Most users, keys of one account, networks, files and services, each: a machine's own, and no directory of a company.
const MOST: usize = 256;

/// The user ids of people and of services (UID_MAX of login.defs(5)); 0 is root's.
const UIDS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// A value and the node that it comes from.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// What was written.
    pub value: T,
    /// The name of the node.
    pub span: Span,
}

/// All settings of one profile, or of one with its includes.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The name of the machine.
    pub host_name: Option<Placed<HostName>>,
    /// Where its clock is looked at.
    pub time_zone: Option<Placed<TimeZone>>,
    /// How root logs in.
    pub root: Option<Placed<Login>>,
    /// The people and their accounts, none twice.
    pub users: Vec<User>,
    /// Its network cards, none twice.
    pub networks: Vec<Network>,
    /// Files that the tree of profiles brings, no path twice.
    pub files: Vec<OwnFile>,
    /// Services that are switched, none twice.
    pub services: Vec<Service>,
}

/// What lets somebody log in.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// The public keys that SSH takes.
    pub keys: Vec<PublicKey>,
    /// What a password is compared with.
    pub password: Option<PasswordHash>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct User {
    /// Its name.
    pub name: UserName,
    /// How it logs in.
    pub login: Login,
    /// Its number, 1 to 60,000; the lowest that is free from 1000 on when it is not written.
    pub uid: Option<u32>,
    /// Its first program; `/bin/sh` when it is not written.
    pub shell: Option<SystemPath>,
    /// The name of the node.
    pub span: Span,
}

/// A network card and where its address comes from.
#[derive(Debug, Clone)]
pub struct Network {
    /// What the kernel calls it.
    pub interface: InterfaceName,
    /// Where the address comes from.
    pub addressing: Addressing,
    /// The name of the node.
    pub span: Span,
}

/// Where an address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// A server of the network.
    Dhcp,
    /// The profile.
    Fixed {
        /// The address and the length of its network's prefix.
        address: NetworkAddress,
        /// The way to other networks, of the same family.
        gateway: Option<IpAddr>,
        /// Name servers.
        dns: Vec<IpAddr>,
    },
}

/// A file of the tree of profiles.
#[derive(Debug, Clone)]
pub struct OwnFile {
    /// Where it lies in the booted system.
    pub path: SystemPath,
    /// Where it lies beneath the folder of the profile: a relative path without `..`.
    pub from: String,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// The name of the node; its label is the file of the profile.
    pub span: Span,
}

/// A service that is switched on or off.
#[derive(Debug, Clone)]
pub struct Service {
    /// As the system calls it.
    pub name: ServiceName,
    /// Whether it starts by itself.
    pub on: bool,
    /// The name of the node.
    pub span: Span,
}

impl Settings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        let Settings { host_name, time_zone, root, users, networks, files, services } = self;
        let lists = users.is_empty() && networks.is_empty() && files.is_empty() && services.is_empty();
        lists && host_name.is_none() && time_zone.is_none() && root.is_none()
    }

    /// Puts the settings of another profile on top: each of its lines replaces, whole, the one that names the same thing.
    pub fn join(&mut self, other: &Settings) {
        self.host_name = other.host_name.clone().or(self.host_name.take());
        self.time_zone = other.time_zone.clone().or(self.time_zone.take());
        self.root = other.root.clone().or(self.root.take());
        replace(&mut self.users, &other.users, |user| user.name.as_str().to_owned());
        replace(&mut self.networks, &other.networks, |network| network.interface.as_str().to_owned());
        replace(&mut self.files, &other.files, |file| plain(file.path.as_str()));
        replace(&mut self.services, &other.services, |it| {
            it.name.as_str().trim_end_matches(".service").to_owned()
        });
    }

    /// Reads the node `system`; `None` when errors were noted.
    pub(super) fn read(node: Node<'_>) -> Option<Settings> {
        let block = node.shape(&SYSTEM)?.block();
        let host_name = block.at_most_one("hostname", |node| placed(node, "name"));
        let time_zone = block.at_most_one("timezone", |node| placed(node, "zone"));
        let root = block.at_most_one("root", root);
        let users = list(&block, "user", user);
        let networks = list(&block, "network", network);
        let files = list(&block, "file", file);
        let services = list(&block, "service", service);
        Some(Settings {
            host_name: host_name?,
            time_zone: time_zone?,
            root: root?,
            users: users?,
            networks: networks?,
            files: files?,
            services: services?,
        })
    }
}

/// What is named again moves to the end, as packages do.
fn replace<T: Clone>(all: &mut Vec<T>, others: &[T], key: impl Fn(&T) -> String) {
    for other in others {
        all.retain(|one| key(one) != key(other));
        all.push(other.clone());
    }
}

/// A path without what counts for nothing in it: `//` and `/./`.
fn plain(path: &str) -> String {
    path.split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .fold(String::new(), |path, part| path + "/" + part)
}

fn placed<T: Value>(node: Node<'_>, what: &'static str) -> Option<Placed<T>> {
    let value = node.shape(&Shape::argument(what))?.argument(what)?;
    Some(Placed { value, span: node.span() })
}

/// Nodes that each name another thing.
fn list<T>(block: &Block<'_>, word: &str, decode: impl FnMut(Node<'_>) -> Option<T>) -> Option<Vec<T>> {
    if let Some(node) = block.all(word).nth(MOST) {
        return node.refuse(format!("more than {MOST} nodes '{word}'"), "leave some of them out");
    }
    block.distinct(word);
    block.each(word, decode)
}

fn login(node: &Node<'_>) -> Option<Login> {
    let block = node.block();
    let first = node.has("key").then(|| node.property::<PublicKey>("key"));
    let more = list(&block, "key", |node| node.shape(&KEY)?.argument("public key"));
    let password = node.has("password-hash").then(|| node.property("password-hash"));
    let mut keys: Vec<PublicKey> = Vec::new();
    keys.extend(first.map_or(Some(None), |key| key.map(Some))?);
    keys.extend(more?);
    Some(Login { keys, password: password.map_or(Some(None), |hash| hash.map(Some))? })
}

fn root(node: Node<'_>) -> Option<Placed<Login>> {
    let node = node.shape(&ROOT)?;
    let login = login(&node)?;
    if login.keys.is_empty() && login.password.is_none() {
        return node.refuse("'root' says nothing", "add key=\"ssh-ed25519 ...\" or password-hash=\"$6$...\"");
    }
    Some(Placed { value: login, span: node.span() })
}

fn user(node: Node<'_>) -> Option<User> {
    let node = node.shape(&USER)?;
    let (name, login) = (node.argument::<UserName>("name"), login(&node));
    let uid = if node.has("uid") { uid(&node).map(Some) } else { Some(None) };
    let shell = if node.has("shell") { node.property("shell").map(Some) } else { Some(None) };
    let name = name?;
    if name.as_str() == "root" {
        return node.refuse("root has a node of its own", "write it as 'root key=...', without its name");
    }
    Some(User { name, login: login?, uid: uid?, shell: shell?, span: node.span() })
}

fn uid(node: &Node<'_>) -> Option<u32> {
    let number = node.property::<u64>("uid")?;
    if !UIDS.contains(&number) {
        let message = format!("the user id {number} is none of {} to {}", UIDS.start(), UIDS.end());
        return node.refuse_property("uid", message, "people have 1000 and more; 0 is root's");
    }
    u32::try_from(number).ok()
}

fn network(node: Node<'_>) -> Option<Network> {
    let node = node.shape(&NETWORK)?;
    let interface = node.argument("interface");
    let addressing = addressing(&node);
    Some(Network { interface: interface?, addressing: addressing?, span: node.span() })
}

fn addressing(node: &Node<'_>) -> Option<Addressing> {
    let dhcp = if node.has("dhcp") { node.property::<bool>("dhcp")? } else { false };
    if dhcp {
        return match ["address", "gateway", "dns"].into_iter().find(|name| node.has(name)) {
            None => Some(Addressing::Dhcp),
            Some(name) => node.refuse_property(
                name,
                format!("with dhcp=#true the network gives '{name}'"),
                "keep one: dhcp=#true alone, or address= with gateway= and dns=",
            ),
        };
    }
    if !node.has("address") {
        let help = "add dhcp=#true, or address=\"192.0.2.5/24\" with gateway= and dns=";
        return node.refuse("the network has neither DHCP nor an address", help);
    }
    let address = node.property::<NetworkAddress>("address");
    let gateway =
        if node.has("gateway") { node.property::<Gateway>("gateway").map(Some) } else { Some(None) };
    let dns =
        if node.has("dns") { node.property::<NameServers>("dns") } else { Some(NameServers::default()) };
    let (address, gateway) = (address?, gateway?.map(|Gateway(gateway)| gateway));
    if let Some(gateway) = gateway.filter(|gateway| !address.reaches(*gateway)) {
        let message = format!("the gateway {gateway} is not in the network of {address}");
        return node.refuse_property("gateway", message, "give the router's address in this network");
    }
    Some(Addressing::Fixed { address, gateway, dns: dns?.0 })
}

fn file(node: Node<'_>) -> Option<OwnFile> {
    let node = node.shape(&FILE)?;
    let (path, from) = (node.argument("path"), node.property::<FromPath>("from"));
    let mode = if node.has("mode") { node.property::<Mode>("mode") } else { Some(Mode(0o644)) };
    Some(OwnFile { path: path?, from: from?.0, mode: mode?.0, span: node.span() })
}

fn service(node: Node<'_>) -> Option<Service> {
    let node = node.shape(&SERVICE)?;
    let (name, on) = (node.argument("name"), node.property("on"));
    Some(Service { name: name?, on: on?, span: node.span() })
}

/// A path beneath the folder of the profile.
struct FromPath(String);

impl Value for FromPath {
    fn decode(value: &KdlValue) -> Result<FromPath, Problem> {
        let path = text(value)?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if path.len() > 1024 || path.chars().any(char::is_control) || !path.split('/').all(plain) {
            let message = format!("'{path}' is not a path that stays below its folder");
            return Err(Problem::new(message, "put the file beside the profile and name it from there"));
        }
        Ok(FromPath(path.to_owned()))
    }
}

/// Permission bits.
struct Mode(u32);

impl Value for Mode {
    fn decode(value: &KdlValue) -> Result<Mode, Problem> {
        let digits = text(value)?;
        let octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o7777);
        mode.map(Mode).ok_or_else(|| {
            Problem::new(
                format!("'{digits}' is not a mode"),
                "write the mode in octal, between quotes, such as \"0644\"",
            )
        })
    }
}
