//! Public keys that may log in by SSH: where the server of the stack looks for them.

use profiles::written::settings::PublicKey;

use super::draft::{Draft, Line, Read, owned};
use super::plan::What;

/// Where servers lie.
const SERVERS: [&str; 4] = ["/usr/sbin/sshd", "/usr/sbin/dropbear", "/sbin/sshd", "/sbin/dropbear"];

/// The package `dropbear` gathers root's keys from the files `*.pub` of this folder.
const GATHERED: &str = "/etc/dropbear/authorized_keys.d";

/// Whose keys they are.
pub(super) struct Owner {
    pub name: String,
    /// User and group.
    pub id: (u32, u32),
    pub home: String,
}

impl Owner {
    pub fn root() -> Owner {
        Owner { name: "root".to_owned(), id: (0, 0), home: "/root".to_owned() }
    }
}

/// Puts the keys of one account into the plan. They take the place of those that the stack has for it.
pub(super) fn draw(keys: &[PublicKey], owner: &Owner, line: Line<'_>, draft: &mut Draft<'_>) -> Read<()> {
    if keys.is_empty() {
        return Ok(());
    }
    if draft.first_program(&SERVERS)?.is_none() {
        let message = format!("no SSH server of the stack takes the key of '{}'", owner.name);
        let help = format!("add the package of one ({} or {}), or remove the key", SERVERS[0], SERVERS[1]);
        draft.refuse(line, message, help);
        return Ok(());
    }
    let text: String = keys.iter().map(|key| format!("{}\n", key.as_str())).collect();
    if owner.id.0 == 0 && draft.has_folder(GATHERED)? {
        let path = format!("{GATHERED}/{}.pub", draft.target.image);
        return draft.put(line, &path, What::File(text.into()), owned(0o644, (0, 0)));
    }
    draft.folder(line, &owner.home, owned(0o700, owner.id))?;
    let folder = format!("{}/.ssh", owner.home);
    draft.folder(line, &folder, owned(0o700, owner.id))?;
    draft.put(line, &format!("{folder}/authorized_keys"), What::File(text.into()), owned(0o600, owner.id))
}
