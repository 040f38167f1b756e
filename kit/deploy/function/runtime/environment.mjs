// What the environment of Python is: the function's own, and what the platform says of its site.

import { existsSync } from "node:fs";

// what is set for Node, or for a Python elsewhere, and would lead ours astray
const NOT_FOR_PYTHON = /^(NODE_OPTIONS|PYTHON.*|LD_PRELOAD|LD_LIBRARY_PATH.*)$/;
const CERTIFICATES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * Return the environment of a call. Nothing in it is taken from the request's address, which is
 * whatever its sender wrote into Host: the site's API key is sent to the addresses in here.
 */
export function environment(context, folder) {
  const { deploy, site } = context ?? {};
  const told = {
    CONTEXT: deploy?.context,
    DEPLOY_ID: deploy?.id,
    DEPLOY_URL: deployUrl(deploy, site),
    SITE_ID: site?.id,
    SITE_NAME: site?.name,
    URL: site?.url,
    SSL_CERT_FILE: certificates(),
    ...process.env,
    KIT_ENTRY: "1",
    KIT_BUNDLE: folder,
  };
  return Object.fromEntries(
    Object.entries(told).filter(([name, value]) => value != null && !NOT_FOR_PYTHON.test(name)),
  );
}

/** The address of a deploy, which at run time no variable has: a site of its own below the site's. */
function deployUrl(deploy, site) {
  const isKnown = /^[0-9a-f]{24}$/.test(deploy?.id ?? "") && /^[a-z0-9-]+$/.test(site?.name ?? "");
  return isKnown ? `https://${deploy.id}--${site.name}.netlify.app` : undefined;
}

let found; // the platform's own roots: a Python from elsewhere looks for them at other places
const certificates = () => (found ??= CERTIFICATES.find((file) => existsSync(file)));
