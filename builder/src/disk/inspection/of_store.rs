//! What lies in the store of a disk: slots, images, generations.

use std::collections::BTreeMap;

use boot_ledger::{FILES, Ledger, SLOT_BYTES};
use boot_store::layout;
use disk_image::ext4;
use disk_image::read::MOST_TEXT;
use ext4_view::{Ext4, Ext4Error};
use profiles::Digest;
use profiles::resolved::BootProfile;

use super::{BRING, FoundFile, FoundGeneration, Inspection};
use crate::disk::loader_check::ANEW;
use crate::error::Result;
use crate::medium::SLOTS;

impl Inspection {
    /// Whether all generations are known then: of what cannot be read or listed nobody can say that it is missing.
    pub(super) fn read_store(&mut self, store: &Ext4) -> bool {
        self.read_slots(store);
        let lengths = self.read_images(store);
        let Some(profiles) = self.names(store, "/lamina/profiles") else { return false };
        let mut known = true;
        for profile in profiles {
            let files = self.names(store, &format!("/lamina/profiles/{profile}"));
            known &= files.is_some();
            let files = files.unwrap_or_default();
            let mut numbers: Vec<u64> = files.iter().filter_map(|name| layout::generation_of(name)).collect();
            numbers.sort_by(|a, b| b.cmp(a));
            for number in numbers {
                known &= self.read_generation(store, &profile, number, lengths.as_ref());
            }
        }
        known
    }

    /// The lengths of all images, none of those that cannot be read; nothing where nobody knows which there are.
    fn read_images(&mut self, store: &Ext4) -> Option<BTreeMap<Digest, Option<u64>>> {
        let mut lengths = BTreeMap::new();
        for name in self.names(store, "/lamina/images")? {
            let path = format!("/lamina/images/{name}");
            let Some(meant) = layout::image_of(&name) else {
                self.damaged(&path, "is no image: its name is no SHA-256", "remove it");
                continue;
            };
            match ext4::digest(store, &path) {
                Ok((digest, size)) => {
                    if digest != meant {
                        self.damaged(&path, format!("is damaged: its SHA-256 is {}", digest.hex()), BRING);
                    }
                    self.images.push(FoundFile { path, digest: meant, size });
                    lengths.insert(meant, Some(size));
                }
                Err(error) => {
                    self.damage.push(error.remedy(BRING));
                    lengths.insert(meant, None);
                }
            }
        }
        Some(lengths)
    }

    /// One slot may be torn by a power cut: the next boot writes it.
    fn read_slots(&mut self, store: &Ext4) {
        let read = |slot: &str| -> Result<(), String> {
            let bytes = ext4::read_small(store, &format!("/lamina/{slot}"), SLOT_BYTES as u64);
            let bytes = bytes.map_err(|error| error.cause().to_owned())?;
            Ledger::decode(&bytes).map(drop).map_err(|damage| damage.to_string())
        };
        if let [Err(a), Err(b)] = FILES.map(read) {
            let cause = format!("neither of the slots that count boots can be read: a: {a}; b: {b}");
            self.damaged("/lamina/boot", cause, SLOTS);
        }
    }

    /// Whether its bytes can be read. `lengths` are those of the images, where they are known.
    fn read_generation(
        &mut self,
        store: &Ext4,
        profile: &str,
        number: u64,
        lengths: Option<&BTreeMap<Digest, Option<u64>>>,
    ) -> bool {
        let path = format!("/lamina/profiles/{profile}/{number}.kdl");
        let read = ext4::read_small(store, &path, MOST_TEXT);
        let (digest, bytes) = match read {
            Ok(bytes) => (Digest::of_bytes(&bytes), bytes),
            Err(error) => {
                self.damage.push(error.remedy(BRING));
                return false;
            }
        };
        match BootProfile::parse(&path, &bytes) {
            Ok(parsed) => {
                lengths.into_iter().for_each(|lengths| self.check_images(&path, &parsed, lengths));
                let BootProfile { description, kernel, .. } = parsed;
                let profile = profile.to_owned();
                self.generations.push(FoundGeneration { profile, number, digest, description, kernel });
            }
            Err(why) => self.damaged(&path, format!("cannot be read: {}", why), BRING),
        }
        true
    }

    fn check_images(&mut self, path: &str, profile: &BootProfile, lengths: &BTreeMap<Digest, Option<u64>>) {
        for image in profile.all_images() {
            match lengths.get(&image.digest) {
                Some(Some(size)) if *size != image.size => {
                    let (name, meant) = (&image.name, image.size);
                    let cause = format!("the image of {name} has {size} bytes, and the profile says {meant}");
                    self.damaged(path, cause, BRING);
                }
                Some(_) => {}
                None => self.damaged(path, format!("the image of {} is missing", image.name), BRING),
            }
        }
    }

    /// The names in a folder of the store, sorted; a folder that is missing has none. Nothing where it cannot be listed, which is damage.
    fn names(&mut self, store: &Ext4, folder: &str) -> Option<Vec<String>> {
        let read = || -> Result<Vec<String>, Ext4Error> {
            let names = store.read_dir(folder)?.map(|entry| Ok(entry?.file_name().display().to_string()));
            names.collect()
        };
        let mut names = match read() {
            Ok(names) => names,
            Err(Ext4Error::NotFound) => Vec::new(),
            Err(error) => {
                self.damaged(folder, error.to_string(), ANEW);
                return None;
            }
        };
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Some(names)
    }
}
