//! Where a service is. <https://docs.aws.amazon.com/general/latest/gr/rande.html>

/// The URL of a service in a Region, and the Region that its signature names.
pub(super) fn of(service: &str, region: &str) -> (String, String) {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    // IAM has one endpoint in each partition. <https://docs.aws.amazon.com/general/latest/gr/iam-service.html>
    match service {
        "iam" if region.starts_with("cn-") => (format!("https://iam.cn-north-1.{suffix}"), "cn-north-1".to_owned()),
        "iam" if region.starts_with("us-gov-") => (format!("https://iam.us-gov.{suffix}"), "us-gov-west-1".to_owned()),
        "iam" => (format!("https://iam.{suffix}"), "us-east-1".to_owned()),
        _ => (format!("https://{service}.{region}.{suffix}"), region.to_owned()),
    }
}

/// The partition of a Region, for ARNs.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iam_is_signed_for_the_region_of_its_partition() {
        assert_eq!(of("ec2", "eu-west-1"), ("https://ec2.eu-west-1.amazonaws.com".to_owned(), "eu-west-1".to_owned()));
        assert_eq!(of("iam", "eu-west-1"), ("https://iam.amazonaws.com".to_owned(), "us-east-1".to_owned()));
        assert_eq!(of("ebs", "cn-north-1").0, "https://ebs.cn-north-1.amazonaws.com.cn");
    }
}
