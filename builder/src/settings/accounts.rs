//! Accounts: the files of those of the stack, with what the profile adds, and the homes and keys of people.

use profiles::Span;
use profiles::written::settings::{HashMethod, Login, PasswordHash, Settings, User};
use squashfs::Metadata;

use super::account_file::{AccountFile, LARGEST};
use super::draft::{Draft, Line, Read, owned};
use super::init_system::InitSystem;
use super::plan::What;
use super::ssh_keys::{self, Owner};

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const GROUP: &str = "/etc/group";
const GROUP_SHADOW: &str = "/etc/gshadow";
/// What a login asks for, besides the account (getusershell(3)).
const SHELLS: &str = "/etc/shells";

/// The first number of a person (UID_MIN of login.defs(5)).
const FIRST_PERSON: u32 = 1000;
/// 1980-01-01 in days since 1970, as all files of images: the day on which a password was changed.
const CHANGED: &str = "3652";
/// No password fits this, and the account is not locked by it, so that keys still open it (shadow(5)).
const NO_PASSWORD: &str = "*";

/// The files of accounts, as they are in the stack and as they will be.
struct Accounts {
    passwd: AccountFile,
    shadow: AccountFile,
    group: AccountFile,
    group_shadow: Option<AccountFile>,
    shells: Option<AccountFile>,
}

/// Puts the accounts into the plan.
pub(super) fn draw(settings: &Settings, init: InitSystem, draft: &mut Draft<'_>) -> Read<()> {
    let lines = settings.users.iter().map(|user| &user.span);
    let Some(first) = lines.chain(settings.root.iter().map(|root| &root.span)).next() else { return Ok(()) };
    let line = Line { setting: "user", span: first };
    let Some(passwd) = read(draft, line, PASSWD)? else {
        let help = "add the package that has it (base-files, or Debian's base-passwd)";
        draft.refuse(line, format!("the stack has no {PASSWD} of at most 4 MiB"), help);
        return Ok(());
    };
    let mut accounts = Accounts {
        passwd,
        shadow: read(draft, line, SHADOW)?.unwrap_or_default(),
        group: read(draft, line, GROUP)?.unwrap_or_default(),
        group_shadow: read(draft, line, GROUP_SHADOW)?,
        shells: read(draft, line, SHELLS)?,
    };
    if let Some(root) = &settings.root {
        let line = Line { setting: "root", span: &root.span };
        accounts.password("root", root.value.password.as_ref(), init, line, draft);
        ssh_keys::draw(&root.value.keys, &Owner::root(), line, draft)?;
    }
    // Numbers that are written down are nobody else's.
    let taken: Vec<u32> = settings.users.iter().filter_map(|user| user.uid).collect();
    for user in &settings.users {
        accounts.user(user, &taken, init, draft)?;
    }
    accounts.finish(line.span, draft)
}

/// A file of the stack; `None` where it has none. One that is there and cannot be read must not be replaced by new lines alone.
fn read(draft: &mut Draft<'_>, line: Line<'_>, path: &str) -> Read<Option<AccountFile>> {
    let found = draft.find(path)?;
    let is_there = found.is_some() || draft.link(path)?.is_some();
    let bytes = match &found {
        Some(seen) => draft.target.joined.read(seen, LARGEST)?,
        None => None,
    };
    if is_there && bytes.is_none() {
        let message =
            format!("{path} of the stack is no file of at most 4 MiB, to which lines could be added");
        draft.refuse(line, message, "look at it with `lamina image cat`, and mend the package that has it");
    }
    Ok(bytes.map(|bytes| AccountFile::parse(&bytes)))
}

impl Accounts {
    fn user(&mut self, user: &User, taken: &[u32], init: InitSystem, draft: &mut Draft<'_>) -> Read<()> {
        let (name, setting) = (user.name.as_str(), format!("user {}", user.name.as_str()));
        let line = Line { setting: &setting, span: &user.span };
        let shell = self.shell(user, line, draft)?;
        let owner = if self.passwd.has(name) {
            self.kept(user, shell, line, draft)?
        } else {
            self.added(user, shell.unwrap_or("/bin/sh"), taken, line, draft)?
        };
        let Some(owner) = owner else { return Ok(()) };
        let Login { keys, password } = &user.login;
        self.password(name, password.as_ref(), init, line, draft);
        ssh_keys::draw(keys, &owner, line, draft)
    }

    /// The shell that is asked for, when the stack has it; a new account needs one.
    fn shell<'u>(&mut self, user: &'u User, line: Line<'_>, draft: &mut Draft<'_>) -> Read<Option<&'u str>> {
        let asked = user.shell.as_ref().map(|shell| shell.as_str());
        let needed = if self.passwd.has(user.name.as_str()) { asked } else { asked.or(Some("/bin/sh")) };
        let Some(path) = needed else { return Ok(None) };
        if path.contains(|letter: char| letter == ':' || letter.is_control()) {
            let help = "passwd(5) has colons between its fields, and a line for each account";
            draft.refuse(line, "a shell has no colon and no control character in its path", help);
        } else if !draft.has_program(path)? {
            let help = "name a program of the stack with shell=, or add the package that has it";
            draft.refuse(line, format!("the shell {path} is not in the stack"), help);
        } else if let Some(shells) = &mut self.shells
            && !shells.has(path)
            && !path.ends_with("/nologin")
            && !path.ends_with("/false")
        {
            shells.add(&[path]);
        }
        Ok(asked)
    }

    /// An account of the stack: it stays, with the shell that is asked for.
    fn kept(
        &mut self,
        user: &User,
        shell: Option<&str>,
        line: Line<'_>,
        draft: &mut Draft<'_>,
    ) -> Read<Option<Owner>> {
        let name = user.name.as_str();
        let field = |number| self.passwd.field(name, number).unwrap_or_default();
        let (Ok(uid), Ok(gid), home) = (field(2).parse::<u32>(), field(3).parse::<u32>(), field(5)) else {
            draft.refuse(line, format!("the line of '{name}' in {PASSWD} of the stack is broken"), "");
            return Ok(None);
        };
        if let Some(wanted) = user.uid.filter(|wanted| *wanted != uid) {
            let message =
                format!("the stack has the user '{name}' already, with the id {uid} and not {wanted}");
            draft.refuse(line, message, "remove uid=: an account of the stack stays as it is");
        }
        if let Some(shell) = shell {
            self.passwd.set(name, 6, shell);
        }
        if !user.login.keys.is_empty() && (home.trim_matches('/').is_empty() || !draft.has_folder(&home)?) {
            let message = format!(
                "'{name}' has no home for a key: its home '{home}' is no folder of its own in the stack"
            );
            draft.refuse(line, message, "give the key to another user");
            return Ok(None);
        }
        Ok(Some(Owner { name: name.to_owned(), id: (uid, gid), home }))
    }

    /// An account that the stack has not: with a group of its name, and a home.
    fn added(
        &mut self,
        user: &User,
        shell: &str,
        taken: &[u32],
        line: Line<'_>,
        draft: &mut Draft<'_>,
    ) -> Read<Option<Owner>> {
        let name = user.name.as_str();
        let used = self.passwd.numbers(2);
        let free = || (FIRST_PERSON..).find(|id| !used.contains(id) && !taken.contains(id));
        let uid = user.uid.or_else(free).unwrap_or(FIRST_PERSON);
        if let Some(other) = self.passwd.name_of(2, uid) {
            draft.refuse(line, format!("the user id {uid} is that of '{other}'"), "write another, or none");
            return Ok(None);
        }
        // Its rights may be more than those of a person: shadow, disk, sudo.
        if self.group.has(name) {
            let message = format!("the stack has a group '{name}', and no user of that name");
            draft.refuse(line, message, "choose another name");
            return Ok(None);
        }
        let home = format!("/home/{name}");
        if let Some(elsewhere) = draft.link(&home)? {
            let message = format!("{home} is a link to '{elsewhere}' in the stack, and no home of its own");
            draft.refuse(line, message, "choose another name, or mend the package that has the link");
            return Ok(None);
        }
        let gid = self.new_group(name, uid);
        self.has_shadow(name);
        // A line that an account of before has left opens nothing.
        self.shadow.set(name, 1, NO_PASSWORD);
        let ids = (uid.to_string(), gid.to_string());
        self.passwd.add(&[name, "x", &ids.0, &ids.1, "", &home, shell]);
        draft.folder(line, &home, owned(0o700, (uid, gid)))?;
        Ok(Some(Owner { name: name.to_owned(), id: (uid, gid), home }))
    }

    /// A group of this name, with the number of its user where that is free.
    fn new_group(&mut self, name: &str, uid: u32) -> u32 {
        let used = self.group.numbers(2);
        let gid = std::iter::once(uid).chain(FIRST_PERSON..).find(|id| !used.contains(id)).unwrap_or(uid);
        self.group.add(&[name, "x", &gid.to_string(), ""]);
        match &mut self.group_shadow {
            Some(shadow) if shadow.has(name) => {
                [(1, "!"), (2, ""), (3, "")]
                    .into_iter()
                    .for_each(|(field, text)| shadow.set(name, field, text));
            }
            Some(shadow) => shadow.add(&[name, "!", "", ""]),
            None => {}
        }
        gid
    }

    /// Every account that is made has a line of shadow(5), and so has every one with a hash.
    fn has_shadow(&mut self, name: &str) {
        if !self.shadow.has(name) {
            self.shadow.add(&[name, NO_PASSWORD, CHANGED, "0", "99999", "7", "", "", ""]);
        }
    }

    /// The hash that a password is compared with.
    fn password(
        &mut self,
        name: &str,
        hash: Option<&PasswordHash>,
        init: InitSystem,
        line: Line<'_>,
        draft: &mut Draft<'_>,
    ) {
        let Some(hash) = hash else { return };
        self.has_shadow(name);
        // What the login of busybox compares passwords with (pw_encrypt() of its libbb).
        if init == InitSystem::Busybox && hash.method() != HashMethod::Sha {
            let message = "busybox knows no password hash of this kind";
            draft.refuse(line, message, "make one with `mkpasswd -m sha-512` or `openssl passwd -6`");
        }
        self.shadow.set(name, 1, hash.as_str());
        // An old day would let it expire at once, as soon as somebody logs in.
        self.shadow.set(name, 2, CHANGED);
        self.shadow.set(name, 4, "99999");
        self.passwd.set(name, 1, "x");
        draft.holds_hash(name);
    }

    fn finish(self, span: &Span, draft: &mut Draft<'_>) -> Read<()> {
        let line = Line { setting: "accounts", span };
        let Accounts { passwd, shadow, group, group_shadow, shells } = self;
        // Readable by whom the stack lets read them; hashes by nobody else than root and its group.
        for (path, file, new, most) in [
            (PASSWD, Some(passwd), 0o644, 0o644),
            (GROUP, Some(group), 0o644, 0o644),
            (SHELLS, shells, 0o644, 0o644),
            (SHADOW, Some(shadow), 0o600, 0o640),
            (GROUP_SHADOW, group_shadow, 0o600, 0o640),
        ] {
            let Some(bytes) = file.and_then(AccountFile::changed) else { continue };
            let metadata = match draft.find(path)? {
                Some(seen) => {
                    draft.merges(&seen);
                    Metadata { mode: seen.item.metadata.mode & most, ..seen.item.metadata }
                }
                None => Metadata::mode(new),
            };
            draft.put(line, path, What::File(bytes), metadata)?;
        }
        Ok(())
    }
}
