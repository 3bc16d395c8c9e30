//! Password hashes, by the forms of crypt(5).

use crate::decode::{KdlValue, Problem, Value, text};

/// How a password was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashMethod {
    /// `$5$` and `$6$`: sha256crypt and sha512crypt, which every C library and busybox know.
    Sha,
    /// `$2a$`, `$2b$`, `$2x$`, `$2y$`: bcrypt.
    Bcrypt,
    /// `$y$`, `$gy$`, `$7$`: yescrypt, gost-yescrypt and scrypt.
    Yescrypt,
}

/// A hash that a password is compared with. Its text goes into shadow(5) as it is, and has neither `:` nor control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    method: HashMethod,
}

impl PasswordHash {
    /// Reads a hash of a kind that crypt(5) recommends or permits for new ones.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        let method = match text.split('$').collect::<Vec<_>>()[..] {
            ["", "5", ref rest @ ..] if is_sha(rest, 43) => HashMethod::Sha,
            ["", "6", ref rest @ ..] if is_sha(rest, 86) => HashMethod::Sha,
            ["", "2a" | "2b" | "2x" | "2y", cost, hash]
                if cost.len() == 2
                    && cost.bytes().all(|byte| byte.is_ascii_digit())
                    && is_base64(hash, 53, 53) =>
            {
                HashMethod::Bcrypt
            }
            ["", "y" | "gy", parameters, salt, hash]
                if is_base64(parameters, 1, 32) && is_base64(salt, 0, 86) && is_base64(hash, 43, 43) =>
            {
                HashMethod::Yescrypt
            }
            ["", "7", salt, hash] if is_base64(salt, 11, 97) && is_base64(hash, 43, 43) => {
                HashMethod::Yescrypt
            }
            _ => return None,
        };
        Some(PasswordHash { text: text.to_owned(), method })
    }

    /// As it stands in shadow(5).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it was made.
    pub fn method(&self) -> HashMethod {
        self.method
    }
}

/// Whoever prints what was read prints no hash.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} hash", self.method)
    }
}

/// The alphabet of crypt(3).
fn is_base64(text: &str, least: usize, most: usize) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    (least..=most).contains(&text.len()) && text.bytes().all(inside)
}

/// Behind `$5$` or `$6$`: rounds, when they are told, salt and hash.
fn is_sha(parts: &[&str], length: usize) -> bool {
    let (salt, hash) = match parts {
        [salt, hash] => (salt, hash),
        [rounds, salt, hash] => {
            let number = rounds.strip_prefix("rounds=").unwrap_or_default();
            let digits = number.len() > 1 && !number.starts_with('0') && number.len() <= 9;
            if !digits || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            (salt, hash)
        }
        _ => return false,
    };
    let signs = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (1..=16).contains(&salt.len()) && salt.bytes().all(signs) && is_base64(hash, length, length)
}

/// Kinds that crypt(5) has for old files alone.
const OLD: [&str; 6] = ["$1$", "$3$", "$md5", "$sha1$", "_", "$2$"];

impl Value for PasswordHash {
    fn decode(value: &KdlValue) -> Result<PasswordHash, Problem> {
        let word = text(value)?;
        let message = match () {
            () if OLD.iter().any(|begin| word.starts_with(begin)) => {
                "a hash of this kind is easily guessed (crypt(5))"
            }
            () => "this is no hash of crypt(5)",
        };
        PasswordHash::parse(word).ok_or_else(|| {
            Problem::new(
                message,
                "make one with `mkpasswd -m sha-512` or `openssl passwd -6`, and write all of it",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_by_their_whole_form() {
        let (short, long) = ("a".repeat(43), "./".repeat(43));
        for (text, method) in [
            (format!("$6$salt${long}"), Some(HashMethod::Sha)),
            (format!("$6$rounds=10000$salt${long}"), Some(HashMethod::Sha)),
            (format!("$5$salt${short}"), Some(HashMethod::Sha)),
            (format!("$2b$12${}{}", "b".repeat(22), "c".repeat(31)), Some(HashMethod::Bcrypt)),
            (format!("$y$j9T$salt${short}"), Some(HashMethod::Yescrypt)),
            (format!("$6$salt${long}x"), None),
            (format!("$6$salt:${long}"), None),
            (format!("$6$rounds=0$salt${long}"), None),
            (format!("$6$${long}"), None),
            (format!("$6$a$b$c${long}"), None),
            // Any thirteen letters are a hash of DES.
            ("mypassword123".to_owned(), None),
            ("*".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(PasswordHash::parse(&text).map(|hash| hash.method()), method, "{text}");
        }
    }
}
