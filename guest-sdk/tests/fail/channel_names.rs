use tidegate_sdk::channel;

#[channel("http.request")]
fn of_the_server() {}

#[channel("thumbnails make")]
fn space() {}

#[channel("")]
fn empty() {}

#[channel]
fn none() {}

#[channel("node!connection")]
fn reply_channel() {}

fn main() {}
