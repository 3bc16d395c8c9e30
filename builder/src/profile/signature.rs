//! Signatures of locked profiles: minisign, so that Debian's `minisign` makes and checks them too.
//!
//! The signature of `profiles/NAME/GENERATION.kdl` is `GENERATION.kdl.minisig` beside it. It is of the kind that hashes first
//! (`ED`), which is the only one that init takes.

use std::fs::{self, File, Permissions};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use boot_store::layout;
use boot_store::signature::{self, Key, Refusal};
use ct_codecs::{Base64, Decoder};
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};

use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::generations;
use crate::text_file;

/// Where the password of a secret key can stand instead of being asked for.
pub const PASSWORD_VARIABLE: &str = "MINISIGN_PASSWORD";

/// The key derivation of a secret key without a password: two zero bytes, behind the algorithm.
const NO_PASSWORD: [u8; 2] = [0, 0];

/// Longer than any key: two lines, of which one is a comment.
const LARGEST_KEY: u64 = 16 << 10;

/// A profile whose signature was made or checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The generation, the newest of its profile.
    pub generation: u64,
    /// The signature's file.
    pub path: PathBuf,
    /// What the signature says besides, and vouches for.
    pub comment: String,
}

/// Signs the newest generation of a profile with the secret key in the file `key`; `password` is needed when it has one.
pub fn sign(store: &Store, name: &Name, key: &Path, password: Option<String>) -> Result<Signed> {
    let (generation, path, bytes) = newest(store, name)?;
    // Nobody should vouch for what init cannot boot, or under another name than they typed.
    let profile = BootProfile::parse(&path.display().to_string(), &bytes).map_err(Error::on(""))?;
    if profile.name != *name {
        let cause = format!("is a file of another profile: it says that it is `{}`", profile.name);
        return Err(
            Error::new(path.display(), cause).remedy(format!("remove it, then `lamina build {name}`"))
        );
    }
    let secret = read_secret_key(key, password)?;
    let comment = signature::comment(name, generation);
    let over = signature::untrusted_comment(&Digest::of_bytes(&bytes));
    let signed = minisign::sign(None, &secret, Cursor::new(&bytes), Some(&comment), Some(&over));
    let signature = signed.map_err(Error::on(key.display()))?.into_string();
    let target = layout::signature_of(&path);
    store.write(&target, signature.as_bytes())?;
    Ok(Signed { generation, path: target, comment })
}

/// Checks the signature of the newest generation of a profile against the public key in the file `key`, as init does.
pub fn verify(store: &Store, name: &Name, key: &Path) -> Result<Signed> {
    let (generation, path, bytes) = newest(store, name)?;
    let public = [read_public_key(key)?];
    let target = layout::signature_of(&path);
    let text = fs::read_to_string(&target).map_err(|error| {
        let remedy = format!("`lamina profile sign {name} --key FILE` signs the profile");
        Error::caused(target.display(), error).remedy(remedy)
    })?;
    let signed = signature::check(&bytes, &text, &public).map_err(|refusal| {
        let why = match refusal {
            Refusal::Unreadable(_) => refusal.to_string(),
            Refusal::NotByAKey => "is not of this profile, or by another key".to_owned(),
        };
        Error::new(target.display(), why)
            .remedy(format!("look at {}, then sign the profile again", path.display()))
    })?;
    Ok(Signed { generation, path: target, comment: signed.comment })
}

fn newest(store: &Store, name: &Name) -> Result<(u64, PathBuf, Vec<u8>)> {
    let (generation, path) = generations::newest(store, name)?.ok_or_else(|| {
        Error::new(format!("profile {name}"), "has not been locked")
            .remedy(format!("`lamina build {name}` builds and locks"))
    })?;
    let bytes = text_file::read(&path)?;
    Ok((generation, path, bytes))
}

fn read_public_key(path: &Path) -> Result<Key> {
    let text = read_key(path)?;
    Key::parse(path.display().to_string(), &text).map_err(|error| {
        Error::new(path.display(), format!("is no minisign public key: {error}"))
            .remedy("give the file that `lamina key create` or `minisign -G` wrote, which ends in .pub")
    })
}

/// A secret key as minisign(1) writes it: a comment, and a line in base64.
fn read_secret_key(path: &Path, password: Option<String>) -> Result<SecretKey> {
    let no_key = |cause: &dyn std::fmt::Display| {
        Error::new(path.display(), format!("is no minisign secret key: {cause}")).remedy(
            "give the file that `lamina key create` or `minisign -G` wrote, not the one that ends in .pub",
        )
    };
    let text = read_key(path)?;
    let line = text.lines().nth(1).ok_or_else(|| no_key(&"it has no second line"))?;
    let bytes = Base64::decode_to_vec(line.trim(), None).map_err(|error| no_key(&error))?;
    let key = SecretKey::from_bytes(&bytes).map_err(|error| no_key(&error))?;
    if bytes[2..4] == NO_PASSWORD {
        // minisign(1) leaves the checksum of such keys empty, which the crate's own reader refuses.
        return Ok(key);
    }
    can_be_had(path, password.as_deref())?;
    SecretKeyBox::from(text).into_secret_key(password).map_err(|error| {
        Error::caused(path.display(), error)
            .remedy(format!("type the password of the key, or put it into {PASSWORD_VARIABLE}"))
    })
}

/// A key can come out of a pipe, which a password manager writes. A FIFO without a writer is empty and keeps nobody waiting.
fn read_key(path: &Path) -> Result<String> {
    let read = || {
        let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
        let mut text = String::new();
        file.take(LARGEST_KEY).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData => Error::new(path.display(), "is no minisign key: it is not text")
            .remedy("give a file that `lamina key create` or `minisign -G` wrote"),
        _ => Error::caused(path.display(), error),
    })
}

/// Whoever else than its owner may read the secret key in the file `path`, as a sentence; `None` when nobody may.
pub fn exposure(path: &Path) -> Option<Error> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mode = found.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Error::new(path.display(), format!("others may use this secret key too: its mode is {mode:04o}"))
            .remedy(format!("`chmod 600 {}`; if somebody did, make a new key", path.display()))
    })
}

/// A password is given, or there is a terminal to ask on.
fn can_be_had(key: &Path, password: Option<&str>) -> Result<()> {
    if password.is_some() || File::open("/dev/tty").is_ok() {
        return Ok(());
    }
    Err(Error::new(key.display(), "there is no terminal to ask for its password")
        .remedy(format!("put the password into {PASSWORD_VARIABLE}")))
}

/// What protects a new secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// This password, or one that is asked for.
    Password(Option<String>),
    /// Nothing but the permissions of its file.
    Nothing,
}

/// Makes a pair of keys: the secret one in the new file `path`, which only its owner can read, the public one beside it in
/// the new file `path` with `.pub` added, whose path is returned. Both appear whole, or neither does.
pub fn create_keys(path: &Path, protection: &Protection) -> Result<PathBuf> {
    let mut public = path.as_os_str().to_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let taken = |path: &Path| fs::symlink_metadata(path).is_ok();
    if let Some(there) = [path, &public].into_iter().find(|path| taken(path)) {
        let (secret, public_path) = (path.display(), public.display());
        let remedy = match taken(&public) {
            true => "give another name".to_owned(),
            false => format!(
                "give another name; `minisign -R -s {secret} -p {public_path}` writes its public key again"
            ),
        };
        return Err(
            Error::new(there.display(), "is there already, and keys are never replaced").remedy(remedy)
        );
    }
    let (secret_file, public_file) = (UnnamedFile::beside(path)?, UnnamedFile::beside(&public)?);
    let pair = match protection {
        Protection::Password(Some(password)) if password.is_empty() => {
            return Err(Error::new(PASSWORD_VARIABLE, "is empty, and would protect nothing")
                .remedy("put a password there, or make a key without one: --no-password"));
        }
        Protection::Password(password) => {
            can_be_had(path, password.as_deref())?;
            KeyPair::generate_encrypted_keypair(password.clone())
        }
        Protection::Nothing => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.map_err(Error::on(path.display()))?;
    let secret = pair.sk.to_box(None).map_err(Error::on(path.display()))?;
    let shown = pair.pk.to_box().map_err(Error::on(path.display()))?;
    fill(&secret_file, path, 0o600, &secret.to_bytes())?;
    fill(&public_file, &public, 0o644, &shown.to_bytes())?;
    // The secret one comes first: the public one can be made from it, should a kill come in between.
    secret_file.publish_new()?;
    public_file.publish_new().inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(public)
}

fn fill(file: &UnnamedFile, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut file = file.handle()?;
    let written = file.set_permissions(Permissions::from_mode(mode)).and_then(|()| file.write_all(bytes));
    written.map_err(Error::on(path.display()))
}
