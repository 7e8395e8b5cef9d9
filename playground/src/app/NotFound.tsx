import { Button } from "@mantine/core"
import { IconError404 } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { Link } from "react-router"
import { EmptyState } from "./EmptyState"

export function NotFound() {
  const { t } = useTranslation()
  return (
    <EmptyState isPage icon={IconError404} title={t("notFound.title")} text={t("notFound.text")}>
      <Button component={Link} to="/assistants" variant="light">
        {t("notFound.home")}
      </Button>
    </EmptyState>
  )
}
