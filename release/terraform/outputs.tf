output "outputs" {
  description = "The outputs of the stack: QueueUrl, RoleArn, EventBusArn and others."
  value       = aws_cloudformation_stack.courier.outputs
}
