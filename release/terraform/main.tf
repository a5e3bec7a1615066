# One stack of ami-courier in the Region of the AWS provider, from the files of a release. CloudFormation makes the stack, so that there is
# one description of it only: the release's template.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  zip      = "${var.release_dir}/ami-courier-${var.release}-${var.architecture}.zip"
  template = "${var.release_dir}/ami-courier.template.json"
}

data "aws_s3_bucket" "code" {
  bucket = var.bucket
}

# A key has the hash of its file: CloudFormation takes new code only under a new key, and two builds can have the same version. The old
# object goes last, because CloudFormation needs it if the update fails.
resource "aws_s3_object" "code" {
  bucket      = var.bucket
  key         = "ami-courier-${var.release}-${var.architecture}-${substr(filesha256(local.zip), 0, 16)}.zip"
  source      = local.zip
  source_hash = filesha256(local.zip)
  tags        = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

# CloudFormation takes 51,200 bytes inline, and 1 MB from a bucket.
resource "aws_s3_object" "template" {
  bucket      = var.bucket
  key         = "ami-courier-${substr(filesha256(local.template), 0, 16)}.template.json"
  source      = local.template
  source_hash = filesha256(local.template)
  tags        = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "courier" {
  name         = var.name
  template_url = "https://${data.aws_s3_bucket.code.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  iam_role_arn = var.iam_role_arn
  tags         = var.tags

  parameters = merge(var.parameters, {
    CodeBucket   = aws_s3_object.code.bucket
    CodeKey      = aws_s3_object.code.key
    Architecture = var.architecture
  })
}
