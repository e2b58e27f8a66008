#!/bin/sh
# Make the secrets that compose.yaml mounts, once: ./make-secrets.sh
set -eu
cd "$(dirname "$0")"
umask 077
mkdir secrets
random() { openssl rand -base64 "$1" | tr -d '\n'; }
openssl rand -hex 24 | tr -d '\n' >secrets/postgres_password
printf 'postgresql://cms:%s@postgres:5432/cms' "$(cat secrets/postgres_password)" >secrets/database_url
printf 'redis://redis:6379/0' >secrets/redis_url
random 48 >secrets/secret_key
random 32 >secrets/encryption_key
printf 'Aa1%s' "$(openssl rand -hex 12)" >secrets/admin_password
# Compose mounts files as they are, for the application's account (10001) to read; the folder itself nobody
# else can open.
chmod 0444 secrets/*
echo "The first admin's password is in $(pwd)/secrets/admin_password."
