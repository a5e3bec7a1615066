//! Queues and their messages: the rules.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::address::Address;
use crate::aws::digest::{hex, md5, uuid};
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The longest a message can be invisible after it was received.
pub(super) const LONGEST_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(43_200);

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
    /// The trace header of the call that sent it: the system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
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

    pub(super) fn value(&self) -> Option<&str> {
        self.string_value.as_deref().or(self.binary_value.as_deref())
    }
}

/// A queue with its messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct StoredQueue {
    pub(super) settings: Queue,
    /// Who may use it from outside of the account's own policies.
    pub(super) policy: Option<Value>,
    pub(super) messages: Vec<Message>,
    /// How many messages were sent so far.
    sent: u64,
    /// Every receipt handle so far.
    pub(super) handles: HashSet<String>,
}

/// Every queue, by its address.
#[derive(Default)]
struct Queues(BTreeMap<Address, StoredQueue>);

/// Queues of the default account, and any queue by its URL. A URL without a queue is a mistake in the test: these
/// functions panic.
impl World {
    /// Makes a queue of the default account, or changes its settings. Returns its URL.
    pub fn add_queue(&mut self, region: &str, name: &str, queue: Queue) -> String {
        self.create_queue(Address::of_caller(&Caller::in_region(region), name), queue)
    }

    /// Sends a message without attributes. Returns its id.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn send(&mut self, url: &str, body: &str) -> String {
        self.enqueue(url, body, BTreeMap::new(), Duration::ZERO, None)
    }

    /// Receives up to `max` visible messages, oldest first. Messages received too often go to the dead-letter queue instead.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn receive(&mut self, url: &str, max: usize) -> Vec<Message> {
        let timeout = self.queue(url).settings.visibility_timeout;
        self.take_visible(url, max, timeout)
    }

    /// Deletes a message, if this is the handle of its last receive. Other handles are ignored, as SQS may do.
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
    pub fn messages(&self, url: &str) -> Vec<Message> {
        self.queue(url).messages.clone()
    }

    /// From when on the queue has a message to be received; `None`: it is empty.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn next_visible(&self, url: &str) -> Option<OffsetDateTime> {
        self.queue(url).messages.iter().map(|message| message.visible_at).min()
    }

    /// The URL of every queue.
    pub fn queue_urls(&self) -> Vec<String> {
        self.addresses().map(Address::url).collect()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.state::<Queues>().into_iter().flat_map(|queues| queues.0.keys())
    }

    pub(super) fn remove_queue(&mut self, url: &str) {
        self.state_mut::<Queues>().0.retain(|address, _| address.url() != url);
    }

    pub(super) fn create_queue(&mut self, address: Address, settings: Queue) -> String {
        let url = address.url();
        self.state_mut::<Queues>().0.entry(address).or_default().settings = settings;
        url
    }

    pub(super) fn find_queue(&self, address: &Address) -> Option<&StoredQueue> {
        self.state::<Queues>()?.0.get(address)
    }

    /// The canonical URL of the queue that a call means.
    ///
    /// # Errors
    /// `QueueDoesNotExist`
    pub(super) fn existing_queue(&self, caller: &Caller, url: &str) -> Result<String, ApiError> {
        Address::of_url_in(url, &caller.region)
            .filter(|address| self.find_queue(address).is_some())
            .map(|address| address.url())
            .ok_or_else(|| ApiError::client("QueueDoesNotExist", "The specified queue does not exist."))
    }

    pub(super) fn queue(&self, url: &str) -> &StoredQueue {
        Address::of_url(url)
            .and_then(|address| self.find_queue(&address))
            .unwrap_or_else(|| panic!("there is no queue {url}"))
    }

    pub(super) fn queue_mut(&mut self, url: &str) -> &mut StoredQueue {
        Address::of_url(url)
            .and_then(|address| self.state_mut::<Queues>().0.get_mut(&address))
            .unwrap_or_else(|| panic!("there is no queue {url}"))
    }

    pub(super) fn enqueue(
        &mut self,
        url: &str,
        body: &str,
        attributes: BTreeMap<String, Attribute>,
        delay: Duration,
        trace: Option<&str>,
    ) -> String {
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
            trace: trace.map(str::to_owned),
            visible_at: now + delay,
            received_at: None,
        });
        id
    }

    pub(super) fn take_visible(&mut self, url: &str, max: usize, timeout: Duration) -> Vec<Message> {
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

    /// Moves the messages that have reached their receive limit to the dead-letter queue.
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
    /// `ReceiptHandleIsInvalid` for an unknown handle; `MessageNotInflight` if the message was deleted, received again, or is
    /// visible again; `InvalidParameterValue` if the end is more than twelve hours after the receive.
    pub(super) fn change_visibility(
        &mut self,
        url: &str,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), ApiError> {
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

pub(super) fn unknown_handle(receipt_handle: &str) -> ApiError {
    ApiError::client(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{receipt_handle}\" is not a valid receipt handle."),
    )
}
