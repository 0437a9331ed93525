use tidegate_sdk::export;

struct Chat;

export! { Chat }

fn main() {}
