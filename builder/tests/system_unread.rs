//! What of a medium or its partition cannot be read: it is told as that. It is not taken for what is not there, and nothing goes because of it.
//! Links that lead to themselves are such for everybody, and modes of files for all but root, who gives up that right here.

mod program;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use program::made_disk::Shop;
use program::{lamina_held_by_modes, told};

const DENIED: &str = "Permission denied";

/// What `lamina system` says where modes hold for it, and whether it went well.
fn held(shop: &Shop, arguments: &[&str]) -> (bool, String) {
    let target = ["--medium", "medium", "--esp", "esp"];
    let output = lamina_held_by_modes(shop.folder.path(), &[&["system"], arguments, &target].concat());
    (output.status.success(), told(&output))
}

fn close(shop: &Shop, path: &str) {
    fs::set_permissions(shop.path(path), Permissions::from_mode(0o000)).unwrap();
}

fn open(shop: &Shop, path: &str) {
    fs::set_permissions(shop.path(path), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_medium_that_may_not_be_entered_is_not_called_none() {
    let shop = Shop::new();
    for folder in ["medium", "medium/lamina"] {
        close(&shop, folder);
        let (done, said) = held(&shop, &["list"]);
        assert!(!done && said.contains(DENIED) && !said.contains("is no medium"), "{said}");
        open(&shop, folder);
    }
    // Nobody can tell whether it is a store of builds, of which nothing may go.
    symlink("builds", shop.path("medium/lamina/builds")).unwrap();
    let said = shop.refused(&["gc", "--keep", "1"]);
    assert!(said.contains("medium/lamina/builds: "), "{said}");
    fs::remove_file(shop.path("medium/lamina/builds")).unwrap();
    symlink("itself", shop.path("itself")).unwrap();
    let output =
        program::lamina(shop.folder.path(), &["system", "list", "--medium", "medium", "--esp", "itself"]);
    assert!(!told(&output).contains("is no folder"), "{}", told(&output));
}
