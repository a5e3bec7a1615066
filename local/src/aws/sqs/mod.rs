//! SQS: standard queues with visibility timeouts, receive counts and redrive, on the world's clock.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
//!
//! `actions` is the wire's side of it, `checksum` the digests that SDKs verify.

mod actions;
mod checksum;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::call::Caller;
use super::digest::{hex, md5, uuid};
use super::error::ApiError;
use super::region::partition_of;
use super::world::World;

pub(super) use actions::dispatch;

/// The longest a message can be invisible after it was received.
const LONGEST_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(43_200);

/// The settings of a queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Default: 30 seconds.
    pub visibility_timeout: Duration,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receive_count: Option<u32>,
    /// The URL of the dead-letter queue.
    pub dead_letter_queue: Option<String>,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { visibility_timeout: Duration::from_secs(30), max_receive_count: None, dead_letter_queue: None }
    }
}

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    /// Of the last receive; empty before the first.
    pub receipt_handle: String,
    pub body: String,
    pub receive_count: u32,
    pub sent_at: OffsetDateTime,
    pub first_received_at: Option<OffsetDateTime>,
    /// The message attributes, by name.
    pub attributes: BTreeMap<String, Attribute>,
    /// From when on it can be received.
    pub visible_at: OffsetDateTime,
    received_at: Option<OffsetDateTime>,
}

/// A message attribute, in the shape of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, perhaps with a label: `String.name`.
    pub data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl Attribute {
    /// An attribute of type `String`.
    pub fn text(value: impl Into<String>) -> Self {
        Attribute { data_type: "String".to_owned(), string_value: Some(value.into()), binary_value: None }
    }
}

/// A queue with its messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct StoredQueue {
    settings: Queue,
    messages: Vec<Message>,
    /// How many were ever sent.
    sent: u64,
    /// Every receipt handle ever given.
    handles: HashSet<String>,
}

/// Which queue a URL means.
struct Address {
    region: String,
    account: String,
    name: String,
}

impl Address {
    /// Reads `http://sqs.REGION.localhost/ACCOUNT/NAME`; where the host says nothing, the caller's Region is meant.
    fn of(url: &str, region: Option<&str>) -> Option<Address> {
        let (_, rest) = url.split_once("://")?;
        let mut parts = rest.split('/');
        let host = parts.next()?;
        let account = parts.next()?.to_owned();
        let name = parts.next()?.to_owned();
        let named = host.strip_prefix("sqs.").and_then(|host| host.split('.').next());
        let region = region.or(named)?.to_owned();
        Some(Address { region, account, name })
    }
}

fn url_of(caller: &Caller, name: &str) -> String {
    format!("http://sqs.{}.localhost/{}/{name}", caller.region, caller.account)
}

fn arn_of(caller: &Caller, name: &str) -> String {
    let Caller { region, account } = caller;
    format!("arn:{}:sqs:{region}:{account}:{name}", partition_of(region))
}

/// The URL of the queue of this ARN.
fn url_of_arn(arn: &str) -> Option<String> {
    let mut parts = arn.split(':').skip(3);
    let caller = Caller { region: parts.next()?.to_owned(), account: parts.next()?.to_owned() };
    Some(url_of(&caller, parts.next()?))
}

/// Queues of the default account, and any queue by its URL. A URL that no queue has is a mistake in the test: these
/// panic.
impl World {
    /// Makes a queue of the default account, or changes its settings. Returns its URL.
    pub fn add_queue(&mut self, region: &str, name: &str, queue: Queue) -> String {
        self.create_queue(&Caller::in_region(region), name, queue)
    }

    /// Sends a message without attributes; its id.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn send(&mut self, url: &str, body: &str) -> String {
        self.enqueue(url, body, BTreeMap::new(), Duration::ZERO)
    }

    /// Receives up to `max` visible messages, oldest first. Those received too often go to the dead-letter queue instead.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn receive(&mut self, url: &str, max: usize) -> Vec<Message> {
        let timeout = self.queue(url).settings.visibility_timeout;
        self.take_visible(url, max, timeout)
    }

    /// Deletes a message, if this is the handle of its last receive: others are ignored, as SQS may.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn delete(&mut self, url: &str, receipt_handle: &str) {
        self.queue_mut(url).messages.retain(|message| message.receipt_handle != receipt_handle);
    }

    /// All messages of a queue, visible or not, oldest first.
    ///
    /// # Panics
    /// If there is no such queue.
    #[must_use]
    pub fn messages(&self, url: &str) -> Vec<Message> {
        self.queue(url).messages.clone()
    }

    /// From when on the queue has a message to be received; `None`: it is empty.
    ///
    /// # Panics
    /// If there is no such queue.
    #[must_use]
    pub fn next_visible(&self, url: &str) -> Option<OffsetDateTime> {
        self.queue(url).messages.iter().map(|message| message.visible_at).min()
    }

    fn create_queue(&mut self, caller: &Caller, name: &str, settings: Queue) -> String {
        self.region_mut(&caller.region).queues.entry((caller.account.clone(), name.to_owned())).or_default().settings =
            settings;
        url_of(caller, name)
    }

    fn find_queue(&self, address: &Address) -> Option<&StoredQueue> {
        let Address { region, account, name } = address;
        self.region(region)?.queues.get(&(account.clone(), name.clone()))
    }

    fn queue(&self, url: &str) -> &StoredQueue {
        Address::of(url, None)
            .and_then(|address| self.find_queue(&address))
            .unwrap_or_else(|| panic!("there is no queue {url}"))
    }

    fn queue_mut(&mut self, url: &str) -> &mut StoredQueue {
        Address::of(url, None)
            .and_then(|Address { region, account, name }| {
                self.regions.get_mut(&region)?.queues.get_mut(&(account, name))
            })
            .unwrap_or_else(|| panic!("there is no queue {url}"))
    }

    fn enqueue(&mut self, url: &str, body: &str, attributes: BTreeMap<String, Attribute>, delay: Duration) -> String {
        let now = self.now();
        let queue = self.queue_mut(url);
        queue.sent += 1;
        let id = uuid(&format!("{url} {}", queue.sent));
        queue.messages.push(Message {
            id: id.clone(),
            receipt_handle: String::new(),
            body: body.to_owned(),
            receive_count: 0,
            sent_at: now,
            first_received_at: None,
            attributes,
            visible_at: now + delay,
            received_at: None,
        });
        id
    }

    fn take_visible(&mut self, url: &str, max: usize, timeout: Duration) -> Vec<Message> {
        let now = self.now();
        self.redrive(url, now);
        let queue = self.queue_mut(url);
        let mut taken = Vec::new();
        for message in queue.messages.iter_mut().filter(|message| message.visible_at <= now).take(max) {
            message.receive_count += 1;
            message.first_received_at.get_or_insert(now);
            message.received_at = Some(now);
            message.visible_at = now + timeout;
            message.receipt_handle = receipt_handle(&message.id, message.receive_count);
            queue.handles.insert(message.receipt_handle.clone());
            taken.push(message.clone());
        }
        taken
    }

    /// Moves the messages that have been received as often as may be to the dead-letter queue.
    fn redrive(&mut self, url: &str, now: OffsetDateTime) {
        let queue = self.queue_mut(url);
        let (Some(limit), Some(dead_letter_queue)) =
            (queue.settings.max_receive_count, queue.settings.dead_letter_queue.clone())
        else {
            return;
        };
        let is_dead = |message: &Message| message.visible_at <= now && message.receive_count >= limit;
        let (dead, alive) = std::mem::take(&mut queue.messages).into_iter().partition(is_dead);
        queue.messages = alive;
        self.queue_mut(&dead_letter_queue).messages.extend::<Vec<Message>>(dead);
    }

    /// # Errors
    /// `ReceiptHandleIsInvalid` for a handle that was never given; `MessageNotInflight` if the message is gone, was
    /// received again, or is visible again; `InvalidParameterValue` past twelve hours after it was received.
    fn change_visibility(&mut self, url: &str, receipt_handle: &str, timeout: Duration) -> Result<(), ApiError> {
        let now = self.now();
        let queue = self.queue_mut(url);
        if !queue.handles.contains(receipt_handle) {
            return Err(unknown_handle(receipt_handle));
        }
        let message = queue
            .messages
            .iter_mut()
            .find(|message| message.receipt_handle == receipt_handle && message.visible_at > now)
            .ok_or_else(|| ApiError::client("MessageNotInflight", "The specified message isn't in flight."))?;
        let received_at = message.received_at.unwrap_or(now);
        if timeout > LONGEST_VISIBILITY_TIMEOUT || now + timeout > received_at + LONGEST_VISIBILITY_TIMEOUT {
            return Err(ApiError::invalid_value(format!(
                "Value {} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message \
                 is beyond the limit [43200 seconds].",
                timeout.as_secs()
            )));
        }
        message.visible_at = now + timeout;
        Ok(())
    }
}

fn receipt_handle(message_id: &str, receive_count: u32) -> String {
    format!("AQEB{}", hex(&md5(format!("{message_id} {receive_count}").as_bytes())))
}

fn unknown_handle(receipt_handle: &str) -> ApiError {
    ApiError::client(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{receipt_handle}\" is not a valid receipt handle."),
    )
}
