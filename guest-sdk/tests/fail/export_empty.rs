tidegate_sdk::export! {}

fn main() {}
