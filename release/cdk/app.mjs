// One stack of ami-courier with the AWS CDK, from the files of a release in RELEASE_DIR: cdk deploy --app "node release/cdk/app.mjs"
import { App, Stack } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';

const { RELEASE_DIR, VERSION, SOURCE_REGIONS, ARCHITECTURE = 'x86_64' } = process.env;
const app = new App();
const stack = new Stack(app, 'ami-courier');
const code = new Asset(stack, 'Code', { path: `${RELEASE_DIR}/ami-courier-${VERSION}-${ARCHITECTURE}.zip` });
new CfnInclude(stack, 'Courier', {
  templateFile: `${RELEASE_DIR}/ami-courier.template.json`,
  // A parameter that is replaced loses its AllowedPattern: it is not checked before the deployment.
  parameters: { CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey, SourceRegions: SOURCE_REGIONS, Architecture: ARCHITECTURE },
});
app.synth();
