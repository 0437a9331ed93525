//! An order comes in by a signed webhook, a service elsewhere is asked to notify the customer, and a page shows
//! the result live.

use serde::Serialize;
use tidegate_sdk::{
    Context, Error, Fetch, Fetched, Frame, Group, Json, Response, Result, SignatureScheme, Signed,
    Socket, Webhook, Websocket, channel, export, http, websocket,
};

mod order;

use order::{NewOrder, Order, Shown};

const PAGE: &str = include_str!("page.html");

/// The group of the pages that watch.
const WATCHERS: &str = "watchers";

/// The variable with the URL of the demo's shop.
const SHOP_URL: &str = "SHOP_URL";

/// How often the service is asked again while it is busy or does not answer.
const RETRIES: u32 = 5;

/// How many orders a page is given at first.
const LAST_ORDERS: usize = 20;

#[http("GET /notify")]
fn page(cx: &mut Context) -> Response {
    let shop = cx.variable(SHOP_URL).unwrap_or_default();
    let policy =
        format!("default-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self' {shop}");
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", policy)
}

/// The shop that sends orders. It signs them as GitHub does.
struct Shop;

impl Webhook for Shop {
    const SECRET: &'static str = "ORDERS_SECRET";
    const SCHEME: SignatureScheme = SignatureScheme::GitHub;
}

/// The body of the request to the service.
#[derive(Serialize)]
struct Letter<'a> {
    to: &'a str,
    text: &'a str,
}

/// What a page is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told<'a> {
    /// The last orders, the newest first.
    Orders {
        orders: Vec<Shown<'a>>,
        /// Where the page asks the demo's shop for another one.
        shop: Option<String>,
    },
    /// An order that is new or has a result.
    Order { order: Shown<'a> },
}

/// Takes an order. The signature covers no time, so a reader of the request may send it again: an order
/// that is stored is not notified twice.
#[http("POST /hooks/orders")]
fn take(
    cx: &mut Context,
    Signed(Json(new), _): Signed<Shop, Json<NewOrder>>,
) -> Result<(u16, &'static str)> {
    new.check().map_err(Error::bad_request)?;
    let key = order::key(&new.id);
    if cx.store().get::<Order>(&key)?.is_some() {
        return Ok((200, "known\n"));
    }
    ask(cx, &new)?;
    let id = new.id.clone();
    let order = Order::new(new, cx.now());
    cx.store().set(&key, &order)?;
    cx.store().set(&order.recent_key(), &id)?;
    tell(cx, &order)?;
    Ok((202, "taken\n"))
}

/// Asks the service to notify the customer. The request is made when the run commits, with the order: both are
/// kept, or neither.
fn ask(cx: &mut Context, order: &NewOrder) -> Result<()> {
    let Some(url) = cx.variable("NOTIFY_URL") else {
        let grants = format!("modules.{}.grants.environment", cx.module());
        return Err(Error::failed(format!("grant NOTIFY_URL, the URL of the service: {grants}")));
    };
    let text = format!("Thank you. {} is on its way.", order.item);
    let request = Fetch::post(url)
        .json(&Letter { to: &order.email, text: &text })
        .idempotency_key(format!("order-{}", order.id))
        .retries(RETRIES)
        .value(&order.id)
        .then("notify.sent");
    Ok(cx.fetch(request)?)
}

/// Notes the result of a request.
#[channel("notify.sent", retries = 5)]
fn sent(cx: &mut Context, fetched: &Fetched<String>) -> Result<()> {
    let key = order::key(fetched.value());
    let Some(mut order) = cx.store().get::<Order>(&key)? else { return Ok(()) };
    order.conclude(fetched);
    if let Err(failure) = fetched.answer() {
        cx.warn(format!("order {} is not notified: {failure}", fetched.value()));
    }
    cx.store().set(&key, &order)?;
    tell(cx, &order)
}

/// Tells all pages of an order. Messages may overtake each other: a page keeps the one with more attempts.
fn tell(cx: &mut Context, order: &Order) -> Result<()> {
    let frame = Frame::json(&Told::Order { order: order.shown() })?;
    Ok(cx.group_send(WATCHERS, &frame)?)
}

/// A page that watches.
struct Watch;

#[websocket("/notify/watch")]
impl Websocket for Watch {
    type State = ();
    type Incoming = Frame;

    fn groups(&self) -> Vec<Group<'static>> {
        vec![WATCHERS.into()]
    }

    /// Answers anything with the last orders. The connection is in the group by now, so the page misses no change.
    fn receive(&self, socket: &mut Socket<()>, _: Frame) -> Result<()> {
        let store = socket.store();
        let mut orders = Vec::new();
        for entry in store.list::<String>(order::RECENT).take(LAST_ORDERS) {
            let (_, id) = entry?;
            orders.extend(store.get::<Order>(&order::key(&id))?);
        }
        let orders = orders.iter().map(Order::shown).collect();
        let shop = socket.variable(SHOP_URL);
        socket.send_json(&Told::Orders { orders, shop })
    }
}

export! { page, take, sent, Watch }
