//! `lamina kernel remove`: which names go, and what becomes of the files.

mod kernel;
mod program;
mod record;

use std::fs;

use program::{json, lamina, told};

#[test]
fn a_kernel_is_forgotten_when_no_profile_names_it_and_its_files_go_with_the_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path();
    kernel::folder(&shop.join("kernel"), "6.1.0-test");
    json(shop, &["kernel", "import", "kernel", "--name", "linux-test", "--json"]);
    fs::create_dir_all(shop.join("packages")).unwrap();
    fs::create_dir_all(shop.join("profiles")).unwrap();
    let profile = shop.join("profiles/web.kdl");
    fs::write(&profile, "profile \"web\" {\n    kernel \"linux-test\"\n}\n").unwrap();
    let run = |arguments: &[&str], status| {
        let output = lamina(shop, &[&["--tree", "."], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", told(&output));
        told(&output)
    };
    let record = shop.join("store/kernels/linux-test.kdl");
    let refused = run(&["kernel", "remove", "linux-test"], 1);
    assert!(refused.contains("kernel linux-test: the profile web boots on it"), "{refused}");
    assert!(refused.contains("help: write another kernel into profiles/web.kdl"), "{refused}");
    fs::write(&profile, "profile \"web\" {\n}\n").unwrap();
    // All or nothing.
    let refused = run(&["kernel", "remove", "linux-test", "linux-tset"], 1);
    assert!(refused.contains("kernel linux-tset: no kernel was imported under this name"), "{refused}");
    assert!(refused.contains("'linux-test'"), "{refused}");
    assert!(run(&["kernel", "remove"], 1).contains("names no kernel"));
    assert!(run(&["kernel", "remove", "linux-test", "--dry-run"], 0).contains("forget kernel linux-test"));
    assert!(record.exists());
    // What is no record stops the command before it removes one.
    fs::create_dir(shop.join("store/kernels/linux-folder.kdl")).unwrap();
    for more in [&["--dry-run"][..], &[]] {
        let refused = run(&[&["kernel", "remove", "linux-test", "linux-folder"], more].concat(), 1);
        assert!(refused.contains("linux-folder.kdl: is a folder, and no record of a kernel"), "{refused}");
        assert!(record.exists());
    }
    fs::remove_dir(shop.join("store/kernels/linux-folder.kdl")).unwrap();
    // A record that cannot be read is no reason to keep it.
    fs::write(&record, "rubbish").unwrap();
    // It has its name all the same, for everybody who asks.
    assert!(run(&["kernel", "remove", "linux-tset"], 1).contains("'linux-test'"));
    fs::write(&profile, "profile \"web\" {\n    kernel \"linux-tset\"\n}\n").unwrap();
    let refused = run(&["profile", "lock", "web"], 1);
    assert!(refused.contains("did you mean 'linux-test'?"), "{refused}");
    fs::write(&profile, "profile \"web\" {\n}\n").unwrap();
    let offered = told(&lamina(shop, &["__complete", "kernel", "remove", ""]));
    assert!(offered.contains("linux-test"), "{offered}");
    run(&["kernel", "remove", "linux-test"], 0);
    assert!(!record.exists());
    run(&["store", "gc", "--grace", "0"], 0);
    assert_eq!(fs::read_dir(shop.join("store/kernels")).unwrap().count(), 0);
}
