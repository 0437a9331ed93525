use tidegate_sdk::websocket;

#[websocket("/chat")]
struct Chat;

#[websocket("/chat")]
impl Chat {}

#[websocket("/chat")]
fn chat() {}

fn main() {}
