variable "release" {
  description = "Version of the release, such as 0.1.0."
  type        = string
}

variable "release_dir" {
  description = "Folder with the files of the release."
  type        = string
}

variable "bucket" {
  description = "S3 bucket in the destination Region, for the zip and the template."
  type        = string
}

variable "name" {
  description = "Name of the stack."
  type        = string
  default     = "ami-courier"
}

variable "architecture" {
  description = "x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "parameters" {
  description = "Parameters of the template: SourceRegions, such as { SourceRegions = \"us-east-1\" }, and any other."
  type        = map(string)
}

variable "iam_role_arn" {
  description = "Role that CloudFormation uses. By default, the caller's own permissions."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the stack and of everything in it."
  type        = map(string)
  default     = {}
}
