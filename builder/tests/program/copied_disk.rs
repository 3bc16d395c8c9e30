//! `lamina system copy`, and what others say of the copy.

use std::process::{Command, Output};

use serde_json::Value;

use super::made_disk::Shop;
use super::{json, lamina, told};

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", told(&output));
    told(&output)
}

pub fn copy(shop: &Shop, arguments: &[&str]) -> Output {
    lamina(shop.folder.path(), &[&["system", "copy"], arguments, &["--disk", "disk.img"]].concat())
}

pub fn copied(shop: &Shop, arguments: &[&str]) -> String {
    let output = copy(shop, arguments);
    assert!(output.status.success(), "{}", told(&output));
    told(&output)
}

pub fn refused(shop: &Shop, arguments: &[&str], words: &str) {
    let output = copy(shop, arguments);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words) && said.contains("\nhelp: "), "{words}\nnot in: {said}");
}

pub fn inspected(shop: &Shop, disk: &str) -> Value {
    let found = json(shop.folder.path(), &["disk", "inspect", disk, "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]), "{found}");
    run("sfdisk", &["--verify", shop.path(disk).to_str().unwrap()]);
    for partition in found["partitions"].as_array().unwrap() {
        if ["lamina-store", "lamina-state"].contains(&partition["name"].as_str().unwrap()) {
            let place = format!("{}?offset={}", shop.path(disk).display(), partition["start"]);
            run("e2fsck", &["-fn", &place]);
        }
    }
    found
}

pub fn generations(found: &Value) -> Vec<String> {
    let all = found["generations"].as_array().unwrap().iter();
    all.map(|it| format!("{}/{}", it["profile"].as_str().unwrap(), it["generation"])).collect()
}

pub fn uuids(found: &Value) -> Vec<String> {
    found["partitions"].as_array().unwrap().iter().map(|it| it["uuid"].as_str().unwrap().to_owned()).collect()
}
