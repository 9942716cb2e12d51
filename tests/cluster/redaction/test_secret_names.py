import pytest

from cluster.redaction.secret_names import is_secret_name

SECRET = """KAGGLE_KEY
OPENAI_KEY LLM_KEY GITHUB_PAT AZURE_STORAGE_KEY AZURE_STORAGE_CONNECTION_STRING
SLACK_WEBHOOK_URL HF_TOKEN HUGGING_FACE_HUB_TOKEN WANDB_API_KEY AWS_SECRET_ACCESS_KEY
AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN DB_PASS PGPASSWORD MYSQL_PWD BASIC_AUTH MY_PRIVATE_KEY
SIGNATURE A_TOKEN API_KEY_2 OPENAI_API_KEY_PROD x-api-key apiKey clientSecret Authorization
SENTRY_DSN GOOGLE_APPLICATION_CREDENTIALS_JSON AZURE_SAS DATABASE_PASSWORD GPG_PASSPHRASE
NPM_AUTH_TOKEN JWT_SECRET password token secret MY_APIKEY DISCORD_WEBHOOK"""
PLAIN = """AUTH_METHOD
TOKENIZER_PATH TOKENIZERS_PARALLELISM SSH_AUTH_SOCK PWD OLDPWD PATH HOME AUTHOR
KEYBOARD MONKEY HF_TOKEN_PATH AWS_SHARED_CREDENTIALS_FILE KEY_FILE PASSENGER COMPASS
eos_token pad_token num_tokens max_tokens tokens_per_second XDG_SESSION_TYPE SECRETARY
PUBLIC_KEY api_key_variable token_budget TOKEN_LIMIT"""


@pytest.mark.parametrize(
    "name",
    SECRET.split(),
)
def test_a_name_that_says_so_is_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    PLAIN.split(),
)
def test_a_name_that_only_resembles_one_is_not(name):
    assert not is_secret_name(name)
