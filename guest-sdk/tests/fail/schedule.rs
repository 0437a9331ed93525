use tidegate_sdk::{channel, export, http, schedule};

#[schedule("@daily")]
fn report() {}

#[channel("shop.work")]
fn work() {}

#[http("GET /hello")]
fn hello() -> &'static str {
    ""
}

mod no_channel {
    tidegate_sdk::export! { #[schedule("@daily")] super::hello }
}

mod wrong {
    tidegate_sdk::export! {
        #[schedule("30 3 * *")]
        super::work,
        #[schedule("@daily", overlaps = "skip")]
        super::more,
        #[schedule("@daily", missed = "twice")]
        super::more,
        #[schedule(daily)]
        super::more,
        #[schedule("@daily")]
        #[schedule("@hourly")]
        super::more,
        #[cfg(test)]
        super::more,
    }
}

export! { work }

fn main() {}
