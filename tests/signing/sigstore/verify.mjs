// Verify a bundle with Sigstore's JavaScript client.
//
// usage: node verify.mjs BUNDLE PUBLIC-KEY
//        node verify.mjs BUNDLE TRUST-CONFIG IDENTITY ISSUER
//
// Prints the payload that was signed; ends with status 1 and the reason when the bundle is not accepted.

import { createPublicKey } from 'crypto';
import { readFileSync } from 'fs';

import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const [path, trust, identity, issuer] = process.argv.slice(2);
try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(path, 'utf8')));
  const text = readFileSync(trust, 'utf8');
  if (identity === undefined) {
    const key = { publicKey: createPublicKey(text), validFor: () => true };
    const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
    const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
    new Verifier(toTrustMaterial(none, () => key), thresholds).verify(toSignedEntity(bundle));
  } else {
    const root = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(text).trustedRoot));
    new Verifier(root).verify(toSignedEntity(bundle), {
      subjectAlternativeName: identity,
      extensions: { issuer },
    });
  }
  process.stdout.write(bundle.content.dsseEnvelope.payload);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
