use std::time::Duration;

use local::aws::{
    ACCOUNT, CopyFailure, Image, ImageState, Key, LaunchPermission, Snapshot, SnapshotIdsAt, SnapshotState,
    default_key_arn,
};

use super::{REGION, SOURCE, SOURCE_REGION, STRANGER, code, copy_with, ec2, ec2_as, stranger, world};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn each_required_parameter_is_missed_by_name() {
    let all = [("Name", "copy"), ("SourceImageId", SOURCE), ("SourceRegion", SOURCE_REGION)];
    for missing in 0..all.len() {
        let mut given = all.to_vec();
        let (name, _) = given.remove(missing);
        let error = ec2(&mut world(), "CopyImage", &given).expect_err("it is required");
        assert_eq!(error.code, "MissingParameter");
        assert!(error.message.contains(name), "{}", error.message);
    }
}

#[test]
fn a_copy_belongs_to_its_caller_and_names_its_source_but_carries_nothing_else_over() {
    let mut world = world();
    let source = world.image_mut(SOURCE_REGION, SOURCE).expect("the source");
    source.tags.insert("team".to_owned(), "infra".to_owned());
    source.launch_permissions.insert(LaunchPermission::Everyone);
    source.deprecation_time = Some(local::aws::START + HOUR * 48);
    source.description = Some("golden".to_owned());
    source.architecture = "arm64".to_owned();
    world.advance(HOUR);

    let id = copy_with(&mut world, &[]).expect("a copy");

    let (source, copy) = (world.image(SOURCE_REGION, SOURCE).expect("source"), world.image(REGION, &id).expect("copy"));
    assert_eq!(copy.owner, ACCOUNT);
    assert_eq!(copy.source_image_id.as_deref(), Some(SOURCE));
    assert_eq!(copy.source_image_region.as_deref(), Some(SOURCE_REGION));
    assert_eq!(copy.architecture, "arm64");
    assert_eq!(copy.creation_date, world.now());
    assert_ne!(copy.snapshots[0].id, source.snapshots[0].id);
    assert!(copy.tags.is_empty() && copy.launch_permissions.is_empty());
    assert!(copy.deprecation_time.is_none() && copy.description.is_none());
}

#[test]
fn a_copy_is_pending_until_its_time_is_up_and_then_available() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    world.advance(Duration::from_secs(20 * 60 - 1));
    assert_eq!(world.image(REGION, &id).expect("the copy").state, ImageState::Pending);
    world.advance(Duration::from_secs(1));
    let copy = world.image(REGION, &id).expect("the copy");
    assert_eq!(copy.state, ImageState::Available);
    assert_eq!(copy.snapshots[0].state, SnapshotState::Completed);
}

#[test]
fn names_have_3_to_128_characters_of_ec2s_alphabet() {
    let long = "x".repeat(128);
    for good in ["abc", "My (server) [v1.2]/a-b_c'@", long.as_str()] {
        copy_with(&mut world(), &[("Name", good)]).expect("a good name");
    }
    for bad in ["ab", &format!("{long}x"), "a:b", "ümlaut", "a*b", "tab\tbed"] {
        assert_eq!(code(copy_with(&mut world(), &[("Name", bad)])), "InvalidAMIName.Malformed", "{bad}");
    }
}

#[test]
fn an_encrypted_source_has_no_unencrypted_copy() {
    let mut world = world();
    let key = default_key_arn(SOURCE_REGION, ACCOUNT);
    world.image_mut(SOURCE_REGION, SOURCE).expect("source").snapshots =
        vec![Snapshot::new("snap-1").encrypted_with(&key)];
    assert_eq!(code(copy_with(&mut world, &[("Encrypted", "false")])), "InvalidRequest");
    let id = copy_with(&mut world, &[]).expect("unsaid, it is encrypted");
    let snapshot = &world.image(REGION, &id).expect("the copy").snapshots[0];
    assert_eq!(snapshot.kms_key, Some(default_key_arn(REGION, ACCOUNT)));
}

#[test]
fn a_key_needs_encryption_by_the_request_or_by_default() {
    let mut world = world();
    world.add_key(REGION, Key::new("1234abcd-12ab-34cd-56ef-1234567890ab").alias("mine"));
    assert_eq!(code(copy_with(&mut world, &[("KmsKeyId", "alias/mine")])), "InvalidParameterDependency");
    world.behaviour.encryption_by_default.insert(REGION.to_owned());
    copy_with(&mut world, &[("KmsKeyId", "alias/mine")]).expect("the default counts");
    let explicit = copy_with(&mut world, &[("KmsKeyId", "alias/mine"), ("Encrypted", "false"), ("Name", "other")]);
    assert_eq!(code(explicit), "InvalidParameterDependency");
}

#[test]
fn encryption_by_default_encrypts_every_copy() {
    let mut world = world();
    world.behaviour.encryption_by_default.insert(REGION.to_owned());
    let id = copy_with(&mut world, &[]).expect("a copy");
    assert!(world.image(REGION, &id).expect("the copy").snapshots[0].encrypted);
}

#[test]
fn a_key_is_meant_by_its_id_arn_alias_or_alias_arn() {
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}");
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine");
    for reference in [id, &arn, "alias/mine", &alias_arn] {
        let mut world = world();
        world.add_key(REGION, Key::new(id).alias("mine"));
        let copy = copy_with(&mut world, &[("Encrypted", "true"), ("KmsKeyId", reference)]).expect("a copy");
        world.advance(HOUR);
        let copy = world.image(REGION, &copy).expect("the copy");
        assert_eq!(copy.state, ImageState::Available, "{reference}");
        assert_eq!(copy.snapshots[0].kms_key.as_deref(), Some(arn.as_str()));
    }
}

#[test]
fn a_key_that_is_unknown_disabled_elsewhere_or_without_grants_fails_the_copy_later() {
    let elsewhere = format!("arn:aws:kms:{SOURCE_REGION}:{ACCOUNT}:key/good");
    for reference in ["unknown", "alias/unknown", &elsewhere, "disabled", "ungranted"] {
        let mut world = world();
        world.add_key(SOURCE_REGION, Key::new("good"));
        world.add_key(REGION, Key::new("disabled").disabled());
        world.add_key(REGION, Key::new("ungranted").without_grants());
        let id = copy_with(&mut world, &[("Encrypted", "true"), ("KmsKeyId", reference)]).expect("the call succeeds");
        assert_eq!(world.image(REGION, &id).expect("the copy").state, ImageState::Pending);
        world.advance(HOUR);
        let copy = world.image(REGION, &id).expect("the copy");
        assert_eq!(copy.state, ImageState::Failed, "{reference}");
        assert!(copy.state_reason.is_some());
        assert_eq!(copy.snapshots[0].state, SnapshotState::Error);
        assert_eq!(copy.snapshots[0].state_message.as_deref(), Some("Given key ID is not accessible"));
    }
}

#[test]
fn a_source_key_that_is_disabled_fails_the_copy_later() {
    let mut world = world();
    world.add_key(SOURCE_REGION, Key::new("source").disabled());
    let key = format!("arn:aws:kms:{SOURCE_REGION}:{ACCOUNT}:key/source");
    world.image_mut(SOURCE_REGION, SOURCE).expect("source").snapshots =
        vec![Snapshot::new("snap-1").encrypted_with(&key)];
    let id = copy_with(&mut world, &[]).expect("the call succeeds");
    world.advance(HOUR);
    assert_eq!(world.image(REGION, &id).expect("the copy").state, ImageState::Failed);
}

#[test]
fn a_doom_meets_the_next_copy_alone() {
    let mut world = world();
    world.fail_next_copy(SOURCE, CopyFailure::new("Server.InternalError", "Internal error", "No luck"));
    let first = copy_with(&mut world, &[("Name", "first")]).expect("a copy");
    let second = copy_with(&mut world, &[("Name", "second")]).expect("a copy");
    world.advance(HOUR);
    let first = world.image(REGION, &first).expect("the first");
    assert_eq!(first.state_reason.as_ref().map(|reason| reason.message.as_str()), Some("Internal error"));
    assert_eq!(first.snapshots[0].state_message.as_deref(), Some("No luck"));
    assert_eq!(world.image(REGION, &second).expect("the second").state, ImageState::Available);
}

#[test]
fn there_is_one_destination_at_most_and_none_with_a_duration() {
    let zone = ("DestinationAvailabilityZone", "eu-west-1a");
    let zone_id = ("DestinationAvailabilityZoneId", "euw1-az1");
    let outpost = ("DestinationOutpostArn", "arn:aws:outposts:eu-west-1:123456789012:outpost/op-1");
    let duration = ("SnapshotCopyCompletionDurationMinutes", "15");
    for pair in [[zone, zone_id], [zone, outpost], [zone_id, outpost], [zone, duration], [outpost, duration]] {
        assert_eq!(code(copy_with(&mut world(), &pair)), "InvalidParameterCombination", "{pair:?}");
    }
    copy_with(&mut world(), &[duration]).expect("alone it is fine");
}

#[test]
fn a_copy_to_a_local_zone_or_an_outpost_comes_from_its_own_region() {
    for destination in [
        ("DestinationAvailabilityZone", "eu-west-1a"),
        ("DestinationAvailabilityZoneId", "euw1-az1"),
        ("DestinationOutpostArn", "arn:aws:outposts:eu-west-1:123456789012:outpost/op-1"),
    ] {
        let refused = copy_with(&mut world(), &[destination]).expect_err("the source is in another Region");
        assert_eq!(refused.code, "InvalidParameterCombination");
        assert!(refused.message.contains(destination.0) && refused.message.contains(REGION), "{}", refused.message);
        let mut world = world();
        world.add_image(REGION, Image::new(SOURCE, "golden"));
        copy_with(&mut world, &[destination, ("SourceRegion", REGION)]).expect("the source is in the own Region");
    }
}

#[test]
fn a_copy_has_the_watermarks_of_its_source_but_no_instance() {
    let mut world = world();
    let source = Image::new(SOURCE, "golden").watermark("111122223333:scanned");
    world.add_image(SOURCE_REGION, source.made_from_instance_of("ami-00000009", SOURCE_REGION));
    let id = copy_with(&mut world, &[]).expect("a copy");
    let copy = world.image(REGION, &id).expect("the copy");
    assert!(copy.watermarks.iter().eq(["111122223333:scanned"]));
    assert_eq!((copy.source_image_id.as_deref(), &copy.source_instance_id), (Some(SOURCE), &None));
}

#[test]
fn a_completion_duration_has_15_minute_steps_from_15_to_2880() {
    for bad in ["0", "14", "20", "2895", "-15", "soon"] {
        let refused = copy_with(&mut world(), &[("SnapshotCopyCompletionDurationMinutes", bad)]);
        assert_eq!(code(refused), "InvalidParameterValue", "{bad}");
    }
    for good in ["15", "2880"] {
        copy_with(&mut world(), &[("SnapshotCopyCompletionDurationMinutes", good)]).expect(good);
    }
}

fn tag_specification<'a>(resource_type: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("TagSpecification.1.ResourceType", resource_type),
        ("TagSpecification.1.Tag.1.Key", key),
        ("TagSpecification.1.Tag.1.Value", "new"),
    ]
}

#[test]
fn tags_go_to_the_image_and_to_all_snapshots_by_their_resource_type() {
    let mut world = world();
    world.image_mut(SOURCE_REGION, SOURCE).expect("source").snapshots =
        vec![Snapshot::new("snap-1"), Snapshot::new("snap-2")];
    let mut tags = tag_specification("image", "i");
    tags.extend([
        ("TagSpecification.2.ResourceType", "snapshot"),
        ("TagSpecification.2.Tag.1.Key", "s"),
        ("TagSpecification.2.Tag.1.Value", "new"),
    ]);
    let id = copy_with(&mut world, &tags).expect("a copy");
    let copy = world.image(REGION, &id).expect("the copy");
    assert_eq!(copy.tags.keys().collect::<Vec<_>>(), ["i"]);
    assert_eq!(copy.snapshots.len(), 2);
    assert!(copy.snapshots.iter().all(|snapshot| snapshot.tags.keys().eq(["s"])));
}

#[test]
fn tag_specifications_are_for_images_and_snapshots_once_each_without_aws_keys() {
    for (resource_type, key) in [("instance", "a"), ("image", "aws:a"), ("image", "AWS:a"), ("image", "")] {
        let refused = copy_with(&mut world(), &tag_specification(resource_type, key));
        assert_eq!(code(refused), "InvalidParameterValue", "{resource_type} {key}");
    }
    let mut twice = tag_specification("image", "a");
    twice.extend([("TagSpecification.2.ResourceType", "image"), ("TagSpecification.2.Tag.1.Key", "b")]);
    assert_eq!(code(copy_with(&mut world(), &twice)), "InvalidParameterValue");
    let mut same_key = tag_specification("image", "a");
    same_key.push(("TagSpecification.1.Tag.2.Key", "a"));
    assert_eq!(code(copy_with(&mut world(), &same_key)), "InvalidParameterValue");
}

#[test]
fn the_sources_user_tags_go_to_the_image_if_asked_for_and_the_requests_win() {
    let mut world = world();
    let source = world.image_mut(SOURCE_REGION, SOURCE).expect("source");
    for (key, value) in [("kept", "old"), ("won", "old"), ("aws:cloudformation:stack-name", "x")] {
        source.tags.insert(key.to_owned(), value.to_owned());
    }
    let mut parameters = tag_specification("image", "won");
    parameters.push(("CopyImageTags", "true"));
    let id = copy_with(&mut world, &parameters).expect("a copy");
    let copy = world.image(REGION, &id).expect("the copy");
    let tags: Vec<_> = copy.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("kept", "old"), ("won", "new")]);
    assert!(copy.snapshots[0].tags.is_empty());
}

#[test]
fn a_resource_has_at_most_50_user_tags_copied_ones_included() {
    let mut world = world();
    let source = world.image_mut(SOURCE_REGION, SOURCE).expect("source");
    for number in 0..50 {
        source.tags.insert(format!("key-{number}"), String::new());
    }
    copy_with(&mut world, &[("CopyImageTags", "true"), ("Name", "fifty")]).expect("50 fit");
    let mut parameters = tag_specification("image", "one-more");
    parameters.push(("CopyImageTags", "true"));
    assert_eq!(code(copy_with(&mut world, &parameters)), "TagLimitExceeded");
}

#[test]
fn a_source_is_malformed_missing_unavailable_or_in_another_partition() {
    let mut world = world();
    world.add_image(SOURCE_REGION, Image::new("ami-00000001", "pending").state(ImageState::Pending));
    let cases = [
        ("SourceImageId", "ami-123", "InvalidAMIID.Malformed"),
        ("SourceImageId", "ami-ffffffffffffffff0", "InvalidAMIID.NotFound"),
        ("SourceImageId", "ami-00000001", "InvalidAMIID.Unavailable"),
        ("SourceRegion", "eu-west-2", "InvalidAMIID.NotFound"),
        ("SourceRegion", "us-nowhere-1", "InvalidParameterValue"),
        ("SourceRegion", "us-gov-west-1", "InvalidRequest"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(code(copy_with(&mut world, &[(name, value)])), expected, "{name}={value}");
    }
}

#[test]
fn another_accounts_ami_must_be_shared_with_its_snapshots() {
    let mut world = world();
    let copy = [("Name", "copy"), ("SourceImageId", SOURCE), ("SourceRegion", SOURCE_REGION)];
    assert_eq!(code(ec2_as(&stranger(), &mut world, "CopyImage", &copy)), "InvalidAMIID.NotFound");

    let source = world.image_mut(SOURCE_REGION, SOURCE).expect("source");
    source.launch_permissions.insert(LaunchPermission::UserId(STRANGER.to_owned()));
    let error = ec2_as(&stranger(), &mut world, "CopyImage", &copy).expect_err("the snapshot is not shared");
    assert_eq!(error.code, "InvalidRequest");
    assert_eq!(error.message, "You do not have permission to access the storage of this ami");

    let source = world.image_mut(SOURCE_REGION, SOURCE).expect("source");
    source.snapshots[0].shared_with.insert(STRANGER.to_owned());
    ec2_as(&stranger(), &mut world, "CopyImage", &copy).expect("now it can be copied");
    assert_eq!(world.images(REGION)[0].owner, STRANGER);
}

#[test]
fn a_dry_run_changes_nothing_and_is_an_error_either_way() {
    let mut world = world();
    let error = copy_with(&mut world, &[("DryRun", "true")]).expect_err("never a success");
    assert_eq!((error.status, error.code.as_str()), (412, "DryRunOperation"));
    assert_eq!(code(copy_with(&mut world, &[("DryRun", "true"), ("Name", "a*")])), "InvalidAMIName.Malformed");
    assert!(world.images(REGION).is_empty());
}

#[test]
fn past_the_limit_of_copies_under_way_a_copy_is_refused_until_one_ends() {
    let mut world = world();
    world.behaviour.snapshot_copies_limit = 1;
    copy_with(&mut world, &[("Name", "first")]).expect("the first");
    let error = copy_with(&mut world, &[("Name", "second")]).expect_err("one is under way");
    assert_eq!(error.code, "ResourceLimitExceeded");
    assert!(error.message.starts_with("Too many snapshot copies in progress."), "{}", error.message);
    world.advance(HOUR);
    copy_with(&mut world, &[("Name", "second")]).expect("the first has ended");

    world.behaviour.snapshot_copies_limit = usize::MAX;
    world.behaviour.copies_in_progress_limit = 1;
    assert_eq!(code(copy_with(&mut world, &[("Name", "third")])), "ResourceLimitExceeded");
}

#[test]
fn snapshot_ids_may_be_missing_until_the_copy_ends() {
    let mut world = world();
    world.behaviour.snapshot_ids_at = SnapshotIdsAt::End;
    let id = copy_with(&mut world, &[]).expect("a copy");
    let mut snapshot_id = || {
        let answer = ec2(&mut world, "DescribeImages", &[("ImageId.1", &id)]).expect("the copy");
        world.advance(HOUR);
        answer["imagesSet"][0]["blockDeviceMapping"][0]["ebs"]["snapshotId"].clone()
    };
    assert!(snapshot_id().is_null());
    assert!(snapshot_id().is_string());
}
