//! EC2's query protocol. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-query.html>

use super::connection::{Call, Connection, Reply};
use super::error::{CallError, Refusal};
use super::xml::Element;

/// The parameters of a call, in the order in which they are sent.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// Adds `Filter.N`, with one value.
    #[must_use]
    pub fn filter(self, name: &str, value: &str) -> Self {
        let number =
            1 + self.0.iter().filter(|(name, _)| name.starts_with("Filter.") && name.ends_with(".Name")).count();
        self.with(format!("Filter.{number}.Name"), name).with(format!("Filter.{number}.Value.1"), value)
    }

    /// Adds `TagSpecification.N`, with its tags in this order.
    #[must_use]
    pub fn tagged(self, resource_type: &str, tags: &[(&str, &str)]) -> Self {
        let is_one = |name: &str| name.starts_with("TagSpecification.") && name.ends_with(".ResourceType");
        let number = 1 + self.0.iter().filter(|(name, _)| is_one(name)).count();
        let prefix = format!("TagSpecification.{number}");
        let all = self.with(format!("{prefix}.ResourceType"), resource_type);
        all.tags_below(&format!("{prefix}.Tag"), tags)
    }

    /// Adds `Tag.1`, `Tag.2`, ...
    #[must_use]
    pub fn tags(self, tags: &[(&str, &str)]) -> Self {
        self.tags_below("Tag", tags)
    }

    fn tags_below(self, prefix: &str, tags: &[(&str, &str)]) -> Self {
        (1..).zip(tags).fold(self, |all, (n, (key, value))| {
            all.with(format!("{prefix}.{n}.Key"), *key).with(format!("{prefix}.{n}.Value"), *value)
        })
    }

    pub(super) fn encoded(&self, action: &str, version: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version);
        self.0.iter().for_each(|(name, value)| {
            form.append_pair(name, value);
        });
        form.finish()
    }
}

impl Connection {
    /// A call of EC2 in a Region. Returns the root of the answer.
    ///
    /// # Errors
    /// EC2's own, or that there is no answer.
    pub async fn ec2(&self, region: &str, action: &str, parameters: &Parameters) -> Result<Element, CallError> {
        self.query("ec2", region, &parameters.encoded(action, "2016-11-15")).await
    }

    /// Every page of a Describe call: the items of the list `set`.
    ///
    /// # Errors
    /// As [`ec2`](Self::ec2).
    pub async fn every_page(
        &self,
        region: &str,
        action: &str,
        parameters: &Parameters,
        set: &str,
    ) -> Result<Vec<Element>, CallError> {
        let mut found = Vec::new();
        let mut page = parameters.clone();
        loop {
            let answer = self.ec2(region, action, &page).await?;
            found.extend(answer.items(set).cloned());
            match answer.text_of("nextToken").filter(|token| !token.is_empty()) {
                None => return Ok(found),
                Some(token) => page = parameters.clone().with("NextToken", token),
            }
        }
    }

    /// A call in the query protocol, which EC2, IAM and STS share.
    pub(super) async fn query(&self, service: &str, region: &str, form: &str) -> Result<Element, CallError> {
        let call = Call {
            service,
            region,
            method: "POST",
            path: "/",
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body: form.as_bytes(),
        };
        let reply = self.send(&call, refusal).await?;
        Element::parse(&reply.body).map_err(|error| CallError::Lost(format!("the answer cannot be read: {error}")))
    }
}

/// `Errors/Error` of EC2, `Error` of IAM and STS.
fn refusal(reply: &Reply) -> Option<Refusal> {
    let root = Element::parse(&reply.body).ok()?;
    let error = root.find("Error")?;
    Some(Refusal {
        status: reply.status,
        code: error.text_of("Code")?.to_owned(),
        message: error.text_of("Message").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_tags_are_numbered() {
        let parameters = Parameters::default()
            .filter("name", "a b")
            .filter("state", "available")
            .with("ResourceType.1.ResourceType", "ec2:Instance")
            .tagged("image", &[("k", "v"), ("l", "w")])
            .tagged("snapshot", &[("k", "v")]);
        let form = parameters.encoded("DescribeImages", "1");
        assert!(form.starts_with(
            "Action=DescribeImages&Version=1&Filter.1.Name=name&Filter.1.Value.1=a+b&Filter.2.Name=state"
        ));
        assert!(
            form.contains("TagSpecification.1.Tag.2.Value=w") && form.ends_with("TagSpecification.2.Tag.1.Value=v")
        );
    }
}
