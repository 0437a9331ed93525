//! What is asked of the user, and how it may not be written.

mod fine {
    use tidegate_sdk::{channel, export, http};

    #[http("GET /one")]
    fn one() -> &'static str {
        "text"
    }

    #[http("GET /two")]
    fn two() -> &'static str {
        "text"
    }

    #[channel("some.thing")]
    fn thing() {}

    export! {
        #[user(sometimes)]
        one,
        #[user]
        "/two" => {
            #[user(optional)]
            two,
        },
        thing,
    }
}

mod claims {
    use tidegate_sdk::{export, http};

    #[http("GET /one")]
    fn one() -> &'static str {
        "text"
    }

    #[http("GET /two")]
    fn two() -> &'static str {
        "text"
    }

    #[http("GET /three")]
    fn three() -> &'static str {
        "text"
    }

    #[http("GET /four")]
    fn four() -> &'static str {
        "text"
    }

    export! {
        #[claims]
        one,
        #[claims(role = [])]
        two,
        #[claims(level = 1.5)]
        three,
        #[user(optional)]
        #[claims(role = "admin")]
        four,
    }
}

mod channels {
    use tidegate_sdk::{channel, export};

    #[channel("some.thing")]
    fn thing() {}

    export! {
        #[user]
        thing,
    }
}

mod misplaced {
    use tidegate_sdk::{claims, user};

    #[user]
    fn me() -> &'static str {
        "text"
    }

    #[claims(role = "admin")]
    fn close() -> &'static str {
        "text"
    }
}

fn main() {}
