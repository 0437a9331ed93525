//! Files that are made to keep the host busy. Each is refused, with numbers where it has too much.

use tests::{Host, guest};
use wasm_encoder::Instruction;

use super::{Scene, bombs};
use crate::TIDEGATE;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_too_much_of_anything_is_refused_with_the_number_before_it_is_compiled() {
    let scene = Scene::start(Host::builder().compiler(TIDEGATE)).await;
    for (file, code, found, limit) in [
        (bombs::functions(100_000, 0), "too-many-functions", 100_000, 50_000),
        (bombs::data(50 << 20), "too-much-data", 50 << 20, 32 << 20),
        (bombs::tables(1, 10_000_000), "too-large-table", 10_000_000, 100_000),
        (bombs::tables(1_000, 1), "too-many-tables", 1_000, 16),
        (bombs::nested(20), "too-deep", 9, 8),
        (bombs::modules(140), "too-many-modules", 129, 128),
        (bombs::instances(200), "too-many-instances", 200, 128),
        (bombs::memories(1, 10_000), "too-much-memory", 655_360_000, 268_435_456),
        (bombs::memories(10, 1), "too-many-memories", 10, 4),
    ] {
        let problem = scene.refused(file, code).await;
        assert!(problem["found"].as_u64().unwrap() >= found, "{problem}");
        assert_eq!(problem["limit"], limit, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&limit.to_string()), "{detail}");
    }
    scene.host.stop().await;
}

/// CPython with `componentize-py --stub-wasi` has 38, and each native extension is one more.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_with_as_many_core_instances_as_python_needs_is_served() {
    let scene = Scene::start(Host::builder().compiler(TIDEGATE)).await;
    scene.api.done("PUT", "modules/many", bombs::instances(100)).await;
    assert_eq!(scene.host.get("/scope").await.status, 200);
    scene.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_feature_that_the_host_is_without_is_refused_before_it_is_compiled() {
    // Compiling the functions before the last one takes longer than it may.
    let brief = "[upload]\ncompile_time = '10s'";
    let scene = Scene::start(Host::builder().compiler(TIDEGATE).set(brief)).await;
    let file = bombs::functions_and(20_000, 300, Some(&Instruction::AtomicFence));
    let problem = scene.refused(file, "feature").await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("atomics; build it without"), "{detail}");
    scene.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nested_too_deep_or_too_large_for_a_compiler_is_refused() {
    let scene = Scene::start(Host::builder().compiler(TIDEGATE)).await;
    for (file, reason) in [
        (bombs::lists(100_000), "type nesting is too deep"),
        (bombs::types(1_000_000), "type nesting is too deep"),
        (bombs::locals(1, 60_000), "too many locals"),
        (bombs::jumps(1, 1_000_000), "1000000 targets, which exceeds the implementation limit"),
    ] {
        let problem = scene.refused(file, "invalid").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{detail}");
    }
    scene.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_compiler_too_long_is_stopped_and_others_are_served() {
    let brief = "[upload]\ncompile_time = '500ms'";
    let scene = Scene::start(Host::builder().compiler(TIDEGATE).set(brief)).await;
    for file in [
        bombs::functions(20_000, 300),
        bombs::blocks(1_000_000),
        bombs::locals(10_000, 49_000),
        bombs::jumps(500, 65_000),
    ] {
        let problem = scene.refused(file, "compile-time").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("500ms") && detail.contains("upload.compile_time"), "{detail}");
        scene.host.until("the compiler is gone", |_| children() == 0).await;
    }
    scene.host.stop().await;
}

/// Processes that run as compilers of this one.
fn children() -> usize {
    let own = std::process::id().to_string();
    let parent = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.is_some_and(|parent| parent.trim() == own)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("status")).ok())
        .filter(|status| parent(status) && !status.contains("State:\tZ"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_compiler_too_much_memory_is_refused() {
    let small = "[upload]\ncompile_memory = '150MiB'";
    let scene = Scene::start(Host::builder().compiler(TIDEGATE).set(small)).await;
    let problem = scene.refused(bombs::functions(20_000, 300), "compile-memory").await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("upload.compile_memory"), "{detail}");
    scene.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_without_end_are_refused_and_leave_nothing_behind() {
    let patient = "[limits]\nmemory = '256MiB'\nfuel = 100_000_000_000\ndeadline = '60s'";
    let few = "[upload]\nroutes = 5";
    for (settings, name, code, reason) in [
        (patient, "many-routes", "too-many-routes", "more than 1048576 bytes"),
        (few, "routed", "too-many-routes", "it has 11 routes; at most 5 are taken (upload.routes)"),
        ("", "routes-loop", "routes", "look for a loop without end"),
    ] {
        let scene = Scene::start(Host::builder().set(settings)).await;
        let problem = scene.refused(std::fs::read(guest(name)).unwrap(), code).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{name}: {detail}");
        scene.host.stop().await;
    }
}
