//! Faults that can be ordered: what goes wrong between the daemon and its caller.

use std::str::FromStr;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call has its effect, and the connection is closed without an answer.
    LostAnswer,
    /// The connection is closed before the call is read; it has no effect. Counts for all methods.
    Refused,
    /// The answer comes so much later.
    Slow(Duration),
    /// The answer is no XML.
    Garbage,
    /// The answer is a document with entities that grow without end.
    EntityBomb,
    /// The answer announces this many bytes, and sends them.
    Huge(u64),
    /// In lists and documents, this machine's element is malformed: its identifier and its state are no numbers.
    MalformedMachine(i32),
    /// Lists of machines are those of the moment when this was ordered.
    StalePool,
    /// Nobody is let in any more.
    AuthenticationRevoked,
    /// The call has no effect and no answer; the connection stays open.
    Mute,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So many calls.
    Count(u32),
    /// Until all faults are taken back.
    Always,
}

/// A fault that was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What goes wrong.
    pub fault: Fault,
    /// Only with this method; none for all.
    pub method: Option<String>,
    /// How often.
    pub times: Times,
}

impl Order {
    /// Once, with this method.
    pub fn once(method: &str, fault: Fault) -> Self {
        Self { fault, method: Some(method.into()), times: Times::Count(1) }
    }

    /// With all methods, until taken back.
    pub fn always(fault: Fault) -> Self {
        Self { fault, method: None, times: Times::Always }
    }

    fn concerns(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|m| m == method)
    }
}

/// All faults that are ordered at present.
#[derive(Debug, Default)]
pub struct Orders(Vec<Order>);

impl Orders {
    /// Adds one.
    pub fn add(&mut self, order: Order) {
        self.0.push(order);
    }

    /// Takes all back.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with this call. What was ordered for some calls is used up.
    pub fn of_call(&mut self, method: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for order in self.0.iter_mut().filter(|o| o.fault != Fault::Refused && o.concerns(method)) {
            faults.push(order.fault.clone());
            if let Times::Count(count) = &mut order.times {
                *count = count.saturating_sub(1);
            }
        }
        self.0.retain(|o| o.times != Times::Count(0));
        faults
    }

    /// Whether the next connection is to be closed at once; used up likewise.
    pub fn refuse_connection(&mut self) -> bool {
        let Some(order) = self.0.iter_mut().find(|o| o.fault == Fault::Refused) else { return false };
        if let Times::Count(count) = &mut order.times {
            *count = count.saturating_sub(1);
        }
        self.0.retain(|o| o.times != Times::Count(0));
        true
    }
}

/// An order as the control port takes it: `FAULT [METHOD|*] [COUNT|always]`, where a fault with a number has it behind
/// a colon: `lost-answer`, `refused`, `slow:MILLISECONDS`, `garbage`, `entity-bomb`, `huge:BYTES`,
/// `malformed-machine:ID`, `stale-pool`, `authentication-revoked`, `mute`.
impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let fault = words.next().ok_or("an order begins with a fault")?;
        let (name, number) = fault.split_once(':').unwrap_or((fault, ""));
        let number =
            || number.parse::<u64>().map_err(|_| format!("{name} needs a number behind a colon, not '{fault}'"));
        let fault = match name {
            "lost-answer" => Fault::LostAnswer,
            "refused" => Fault::Refused,
            "slow" => Fault::Slow(Duration::from_millis(number()?)),
            "garbage" => Fault::Garbage,
            "entity-bomb" => Fault::EntityBomb,
            "huge" => Fault::Huge(number()?),
            "malformed-machine" => {
                Fault::MalformedMachine(i32::try_from(number()?).map_err(|_| "no machine has this number")?)
            }
            "stale-pool" => Fault::StalePool,
            "authentication-revoked" => Fault::AuthenticationRevoked,
            "mute" => Fault::Mute,
            unknown => return Err(format!("there is no fault '{unknown}'")),
        };
        let method = words.next().filter(|m| *m != "*").map(str::to_owned);
        let times = match words.next() {
            None => Times::Count(1),
            Some("always") => Times::Always,
            Some(count) => Times::Count(count.parse().map_err(|_| format!("'{count}' is no count"))?),
        };
        Ok(Self { fault, method, times })
    }
}

/// An answer whose entities would grow to gigabytes.
pub fn entity_bomb() -> String {
    let mut out = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE methodResponse [\n<!ENTITY a0 \"lol\">\n");
    for level in 1..=9 {
        let inner = format!("&a{};", level - 1).repeat(10);
        out.push_str(&format!("<!ENTITY a{level} \"{inner}\">\n"));
    }
    out.push_str("]>\n<methodResponse><params><param><value><array><data><value><boolean>1</boolean></value>");
    out.push_str(
        "<value><string>&a9;</string></value><value><i4>0</i4></value></data></array></value></param></params>",
    );
    out.push_str("</methodResponse>\n");
    out
}

/// Makes the element of one machine malformed, in a document that is escaped inside of an answer.
pub fn malform(answer: &str, machine: i32) -> String {
    let start = format!("&lt;VM&gt;&lt;ID&gt;{machine}&lt;/ID&gt;");
    let Some(at) = answer.find(&start) else { return answer.to_owned() };
    let (before, rest) = answer.split_at(at);
    let end = rest.find("&lt;/VM&gt;").unwrap_or(rest.len());
    let (element, after) = rest.split_at(end);
    let element = element.replacen(&start, "&lt;VM&gt;&lt;ID&gt;none&lt;/ID&gt;", 1).replacen(
        "&lt;STATE&gt;",
        "&lt;STATE&gt;not a number ",
        1,
    );
    format!("{before}{element}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_used_up() {
        let mut orders = Orders::default();
        orders.add("lost-answer one.vm.allocate 2".parse().unwrap());
        orders.add("slow:5 * always".parse().unwrap());
        let slow = Fault::Slow(Duration::from_millis(5));
        assert_eq!(orders.of_call("one.vm.info"), std::slice::from_ref(&slow));
        assert_eq!(orders.of_call("one.vm.allocate"), [Fault::LostAnswer, slow.clone()]);
        assert_eq!(orders.of_call("one.vm.allocate"), [Fault::LostAnswer, slow.clone()]);
        assert_eq!(orders.of_call("one.vm.allocate"), [slow]);
        assert!("slow".parse::<Order>().is_err() && "nonsense".parse::<Order>().is_err());
    }

    #[test]
    fn one_element_is_malformed() {
        let escape = |text: &str| text.replace('<', "&lt;").replace('>', "&gt;");
        let document = "<VM_POOL><VM><ID>2</ID><STATE>3</STATE></VM><VM><ID>1</ID><STATE>3</STATE></VM></VM_POOL>";
        let malformed = malform(&escape(document), 1);
        let expected = "<VM><ID>2</ID><STATE>3</STATE></VM><VM><ID>none</ID><STATE>not a number 3</STATE>";
        assert!(malformed.contains(&escape(expected)));
    }
}
