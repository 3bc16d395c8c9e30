//! What the files of a store are called, as paths below its folder.

use std::path::{Path, PathBuf};

use profiles::{Digest, Name};

/// The folder of a store on its file system, where `lamina.dir=` says nothing else.
pub const DEFAULT_FOLDER: &str = "lamina";
/// The folder of profiles, with a folder for each.
pub const PROFILES: &str = "profiles";
/// The folder of images.
pub const IMAGES: &str = "images";

/// `images/HEX.sqfs`; HEX is the SHA-256 of the whole file.
pub fn image(digest: &Digest) -> PathBuf {
    PathBuf::from([IMAGES, "/", &digest.hex(), ".sqfs"].concat())
}

/// The digest in the name of an image's file; `None` for the name of something else.
pub fn image_of(file_name: &str) -> Option<Digest> {
    Digest::parse(file_name.strip_suffix(".sqfs")?).ok()
}

/// `profiles/NAME`, which holds the generations of a profile.
pub fn profile_folder(name: &Name) -> PathBuf {
    Path::new(PROFILES).join(name.as_str())
}

/// `profiles/NAME/GENERATION.kdl`.
pub fn profile(name: &Name, generation: u64) -> PathBuf {
    profile_folder(name).join(format!("{generation}.kdl"))
}

/// `GENERATION.kdl.minisig` for `GENERATION.kdl`, wherever that lies.
pub fn signature_of(profile: &Path) -> PathBuf {
    profile.with_extension("kdl.minisig")
}

/// `GENERATION.keep` for `GENERATION.kdl`, wherever that lies: a file that says that the generation stays until somebody removes it.
pub fn kept_mark_of(profile: &Path) -> PathBuf {
    profile.with_extension("keep")
}

/// `7` for `7.kdl`: a decimal number from 1, in one spelling only. What an editor leaves beside it is no generation.
pub fn generation_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".kdl")?;
    let number: u64 = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_plain_numbers_from_one() {
        assert_eq!(generation_of("12.kdl"), Some(12));
        assert_eq!(generation_of("18446744073709551615.kdl"), Some(u64::MAX));
        let odd = [
            "0.kdl",
            "01.kdl",
            "+1.kdl",
            "-1.kdl",
            "1.KDL",
            "1",
            ".kdl",
            "1.kdl.tmp",
            "18446744073709551616.kdl",
        ];
        assert_eq!(odd.map(generation_of), [None; 9]);
    }

    #[test]
    fn names_and_their_readers_agree() {
        let (digest, name) = (Digest::from_bytes([0xab; 32]), Name::parse("web").unwrap());
        let image = image(&digest);
        assert_eq!(image, PathBuf::from(format!("images/{}.sqfs", "ab".repeat(32))));
        assert_eq!(image_of(image.file_name().unwrap().to_str().unwrap()), Some(digest));
        assert_eq!(image_of("notes.txt"), None);
        let profile = profile(&name, 7);
        assert_eq!(generation_of(profile.file_name().unwrap().to_str().unwrap()), Some(7));
        assert_eq!(signature_of(&profile), Path::new("profiles/web/7.kdl.minisig"));
        assert_eq!(kept_mark_of(&profile), Path::new("profiles/web/7.keep"));
        assert_eq!(generation_of("7.keep"), None);
    }
}
