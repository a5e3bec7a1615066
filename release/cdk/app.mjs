// One stack of ami-courier with the AWS CDK, from the files of a release: node app.mjs RELEASE_FOLDER VERSION
import { App, Stack } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';

const [folder, version] = process.argv.slice(2);
const stack = new Stack(new App({ outdir: 'cdk.out' }), 'ami-courier', { env: { region: 'eu-west-1' } });
const code = new Asset(stack, 'Code', { path: `${folder}/ami-courier-${version}-x86_64.zip` });
new CfnInclude(stack, 'Courier', {
  templateFile: `${folder}/ami-courier.template.json`,
  parameters: { CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey, SourceRegions: 'us-east-1' },
});
stack.node.root.synth();
