//! The rule of versions, as a table, and that wasmtime's linker has the same.

use std::collections::BTreeSet;

use wasm_encoder::{
    Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
};
use wasmtime::component::Linker;

use super::*;

/// Versions that are defined, one that is named, and which of those that are defined is meant.
const RULE: &[(&[&str], &str, Option<&str>)] = &[
    (&["0.1.0"], "0.1.0", Some("0.1.0")),
    // Later and earlier releases of the track, in both directions.
    (&["0.1.0"], "0.1.1", Some("0.1.0")),
    (&["0.1.2"], "0.1.0", Some("0.1.2")),
    (&["0.1.1"], "0.1.99", Some("0.1.1")),
    // What is defined exactly goes first, then the highest.
    (&["0.1.0", "0.1.1", "0.1.2"], "0.1.1", Some("0.1.1")),
    (&["0.1.2", "0.1.0"], "0.1.1", Some("0.1.2")),
    (&["0.1.9", "0.1.10"], "0.1.3", Some("0.1.10")),
    // Another track.
    (&["0.1.0", "0.1.2"], "0.2.0", None),
    (&["0.1.0"], "0.0.1", None),
    (&["0.1.0"], "0.10.0", None),
    (&["0.1.0"], "1.1.0", None),
    (&["1.0.0"], "1.7.3", Some("1.0.0")),
    (&["1.0.0"], "2.0.0", None),
    (&["0.0.1"], "0.0.2", None),
    (&["0.0.1"], "0.0.1", Some("0.0.1")),
    // A pre-release stands for itself.
    (&["0.1.1"], "0.1.1-rc.1", None),
    (&["0.1.1-rc.1"], "0.1.1", None),
    (&["0.1.1-rc.1"], "0.1.1-rc.2", None),
    (&["0.1.1-rc.1"], "0.1.1-rc.1", Some("0.1.1-rc.1")),
    // Metadata of a build makes no difference.
    (&["0.1.1"], "0.1.0+build.5", Some("0.1.1")),
];

/// The version that our rule takes.
fn ours(defined: &[&str], named: &str) -> Option<Version> {
    let named = Version::parse(named).unwrap();
    let defined = defined.iter().map(|version| Version::parse(version).unwrap());
    let fit: Vec<_> = defined.filter(|version| is_compatible(version, &named)).collect();
    fit.iter().find(|version| **version == named).or_else(|| fit.iter().max()).cloned()
}

/// A component that imports one interface, of which it calls the function named like a version.
fn importing(name: &str, function: &str) -> Vec<u8> {
    let mut instance = InstanceType::new();
    instance
        .ty()
        .function()
        .params::<[(&str, wasm_encoder::ComponentValType); 0], _>([])
        .result(None);
    instance.export(function, ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    types.instance(&instance);
    let mut imports = ComponentImportSection::new();
    imports.import(name, ComponentTypeRef::Instance(0));
    let mut component = Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

/// Whether wasmtime's linker takes one of the versions that are defined for a name.
fn linker_takes(engine: &wasmtime::Engine, defined: &[&str], named: &str, meant: &str) -> bool {
    // A function says which version it is of.
    let function =
        |version: &str| format!("f{}", version.replace(['.', '+'], "-").replace('-', ""));
    let mut linker = Linker::<()>::new(engine);
    for version in defined {
        let mut instance = linker.instance(&format!("{PACKAGE}layer@{version}")).unwrap();
        instance.func_wrap(&function(version), |_, (): ()| Ok(())).unwrap();
    }
    let wasm = importing(&format!("{PACKAGE}layer@{named}"), &function(meant));
    let component = wasmtime::component::Component::new(engine, wasm).unwrap();
    linker.instantiate_pre(&component).is_ok()
}

#[test]
fn releases_of_one_track_fit_in_both_directions_and_nothing_else_does() {
    let engine = wasmtime::Engine::default();
    for &(defined, named, meant) in RULE {
        let expected = meant.map(|version| Version::parse(version).unwrap());
        assert_eq!(ours(defined, named), expected, "{named} where {defined:?}");
        for version in defined {
            let takes = linker_takes(&engine, defined, named, version);
            assert_eq!(takes, meant == Some(version), "{named} where {defined:?}: {version}");
        }
    }
}

#[test]
fn imports_of_the_contract_are_known_by_interface_and_track() {
    for name in [
        "tidegate:channels/layer@0.1.0",
        "tidegate:channels/types@0.1.1",
        "tidegate:channels/log@0.1.99",
        "tidegate:channels/declared@0.1.1",
    ] {
        assert_eq!(import(name), Ok(true), "{name}");
    }
    assert_eq!(import("wasi:io/streams@0.2.0"), Ok(false));
}

#[test]
fn what_the_host_does_not_know_is_refused_with_the_version_that_may() {
    for (error, message) in [
        (
            import("tidegate:channels/archive@0.1.2"),
            "it imports tidegate:channels/archive@0.1.2, which this host does not know: of \
             tidegate:channels up to 0.1.1 it offers connection, declared, history, invocation, layer, log, online, outside, presence, reply, sessions, store, timers, types, users; \
             deploy it to a host that speaks 0.1.2, or build it without what needs this",
        ),
        (
            import("tidegate:channels/archive@0.1.0").map(drop).map(|()| true),
            "it imports tidegate:channels/archive@0.1.0, which this host does not know: of \
             tidegate:channels up to 0.1.1 it offers connection, declared, history, invocation, layer, log, online, outside, presence, reply, sessions, store, timers, types, users; \
             build it against the WIT of this host",
        ),
        (
            exports(&[CONSUMER, "tidegate:channels/guard@0.1.3"]).map(|()| true),
            "it exports tidegate:channels/guard@0.1.3, which this host does not know: of \
             tidegate:channels up to 0.1.1 it reads consumer, declarations; deploy it to a host that \
             speaks 0.1.3, or build it without what needs this",
        ),
        (
            import("tidegate:channels/layer@0.2.0"),
            "it was built against tidegate:channels@0.2.0, and this host speaks tidegate:channels 0.1 \
             up to 0.1.1; build it with a tidegate-sdk for 0.1, or deploy it to a host that speaks \
             0.2.0",
        ),
        (
            exports(&["tidegate:channels/consumer@0.1.1-rc.1"]).map(|()| true),
            "it was built against tidegate:channels@0.1.1-rc.1, and this host speaks \
             tidegate:channels 0.1 up to 0.1.1 (a pre-release stands for itself); build it with a \
             tidegate-sdk for 0.1, or deploy it to a host that speaks 0.1.1-rc.1",
        ),
    ] {
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}

#[test]
fn an_export_that_the_host_would_not_read_is_refused() {
    assert_eq!(exports(&[CONSUMER]), Ok(()));
    assert_eq!(
        exports(&["tidegate:channels/consumer@0.1.7", "wasi:cli/run@0.2.6", "extra"]),
        Ok(())
    );
    assert_eq!(exports(&[CONSUMER, DECLARATIONS]), Ok(()));
    for other in [
        "tidegate:channels/guard@0.1.1",
        "tidegate:channels/guard",
        "tidegate:channels/layer@0.1.0",
        "tidegate:guards/guard@0.1.0",
    ] {
        let error = exports(&[CONSUMER, other]).unwrap_err();
        assert!(matches!(error, ContractError::Unknown { .. }), "{other}: {error}");
    }
    let error = exports(&[CONSUMER, "tidegate:channels/guard@0.2.0"]).unwrap_err();
    assert!(matches!(error, ContractError::OtherVersion { .. }), "{error}");
    assert_eq!(exports(&[CONSUMER, "declare"]), Err(ContractError::LooseDeclare));
    let error = exports(&[CONSUMER, "tidegate:channels/consumer@0.1.1"]).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "it exports consumer of tidegate:channels@0.1.0 and of @0.1.1, which are one to this host"
        ),
        "{error}"
    );
    assert!(matches!(exports(&[]), Err(ContractError::MissingConsumer { .. })));
    assert!(matches!(exports(&[DECLARATIONS]), Err(ContractError::MissingConsumer { .. })));
}

/// The interfaces of `wit/`, each with its version.
fn published() -> BTreeSet<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut found = BTreeSet::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "wit") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let package = text.lines().find_map(|line| line.strip_prefix("package ")).unwrap();
            let version = package.trim_end_matches(';').split_once('@').unwrap().1;
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("interface ") {
                    found.insert((rest.trim_end_matches(" {").to_owned(), version.to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn the_host_knows_every_interface_that_is_published_and_no_other() {
    let published = published();
    let mut names: Vec<_> = published.iter().map(|(name, _)| name.as_str()).collect();
    let mut known = [IMPORTS, EXPORTS].concat();
    names.sort_unstable();
    known.sort_unstable();
    // Also that no name is published twice: to the linker both would be one.
    assert_eq!(names, known);
    let versions = published.iter().map(|(_, version)| Version::parse(version).unwrap());
    assert_eq!(versions.max(), Some(LATEST));
    for name in [CONSUMER, DECLARATIONS] {
        let rest = name.strip_prefix(PACKAGE).unwrap();
        let (name, version) = rest.split_once('@').unwrap();
        assert!(published.contains(&(name.to_owned(), version.to_owned())), "{rest}");
    }
}
