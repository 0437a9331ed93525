use serde::Deserialize;
use tidegate_sdk::{Request, channel, export};

#[derive(Deserialize)]
struct Job {}

struct Opaque;

#[channel("a")]
fn two(one: Job, other: Job) {
    let _ = (one, other);
}

#[channel("b")]
fn borrowed(job: &mut Job) {
    let _ = job;
}

#[channel("c")]
fn request(request: Request) {
    let _ = request;
}

#[channel("d")]
fn unreadable(opaque: Opaque) {
    let _ = opaque;
}

#[channel("e")]
fn answers() -> u32 {
    42
}

export! { two, borrowed, request, unreadable, answers }

fn main() {}
