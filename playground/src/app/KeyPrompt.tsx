import { Button, Modal, PasswordInput, Stack, Text } from "@mantine/core"
import { useQueryClient } from "@tanstack/react-query"
import { type FormEvent, useState, useSyncExternalStore } from "react"
import { useTranslation } from "react-i18next"
import { isKeyRefused, keepKey, onKeyRefused, storedKey } from "../api/key"

/** Stands over every page while the server wants a key that we do not have. */
export function KeyPrompt() {
  const { t } = useTranslation()
  const refused = useSyncExternalStore(onKeyRefused, isKeyRefused)
  const queries = useQueryClient()
  const [key, setKey] = useState("")

  function submit(event: FormEvent) {
    event.preventDefault()
    if (!key.trim()) return
    keepKey(key.trim())
    setKey("")
    void queries.resetQueries()
  }

  return (
    <Modal
      opened={refused}
      onClose={() => {}}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title={t("key.title")}
      overlayProps={{ backgroundOpacity: 0.5, blur: 4 }}
    >
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">{t("key.explain")}</Text>
          <PasswordInput
            label={t("key.label")}
            value={key}
            onChange={(event) => setKey(event.currentTarget.value)}
            error={storedKey() === null ? undefined : t("key.wrong")}
            autoComplete="off"
            data-autofocus
          />
          <Button type="submit" disabled={!key.trim()}>
            {t("key.submit")}
          </Button>
        </Stack>
      </form>
    </Modal>
  )
}
