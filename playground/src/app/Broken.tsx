import { Button } from "@mantine/core"
import { IconBug } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { EmptyState } from "./EmptyState"

/** In place of a page whose own code failed, or could not be loaded. */
export function Broken() {
  const { t } = useTranslation()
  return (
    <EmptyState isPage icon={IconBug} title={t("broken.title")} text={t("broken.text")}>
      <Button variant="light" onClick={() => location.reload()}>
        {t("broken.reload")}
      </Button>
    </EmptyState>
  )
}
